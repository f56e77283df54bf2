import type { RequestListener } from 'node:http';
import type { Runtime } from '../api/runtime.js';
import type { BootInfo, Entry } from '../ipc/messages.js';
import { ClusterError } from '../kit/errors.js';
import { listen } from '../kit/sockets.js';
import { createServer, makeRoom } from './serve.js';

type Framework = Extract<Entry, { kind: 'framework' }>;
type Https = BootInfo['listen']['https'];

/** What both classes of a framework have to offer: Egg's shape. */
interface Part {
  ready(callback: (error?: unknown) => void): unknown;
  close?(): unknown;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  once(event: string, listener: (...args: unknown[]) => void): unknown;
  removeListener(event: string, listener: (...args: unknown[]) => void): unknown;
  emit(event: string, ...args: unknown[]): unknown;
}

interface App extends Part {
  callback(): RequestListener;
  options?: Record<string, unknown>;
  /** Where Egg apps configure what others put into the cluster's configuration. */
  config?: { cluster?: { listen?: { port?: number; hostname?: string; path?: string }; https?: Https } };
}

type PartClass<T extends Part> = new (options: Record<string, unknown>) => T;

/** Makes the framework's Application, waits until it is ready, and serves it unless it has no server. Resolves when it listens. */
export async function serveFramework(module: unknown, boot: BootInfo, entry: Framework, runtime: Runtime): Promise<void> {
  const Application = classOf<App>(module, 'Application', entry.file);
  const app = new Application({ ...entry.options });
  runtime.onClose(() => app.close?.(), 'application.close');
  await ready(app, ['startTimeout']);
  if (!boot.listen.hasServer) return;

  const { listen: listenTo = {}, https } = app.config?.cluster ?? {};
  const port = Number(entry.options.port) || listenTo.port || boot.listen.port;
  const path = boot.listen.path || listenTo.path;
  if (app.options) app.options.port = port;
  makeRoom(path || undefined);
  const server = await createServer({ ...https, ...boot.listen.https } as Https, app.callback());
  // Egg's plugins take hold of the server here, before it listens.
  app.emit('server', server);
  await listen(server, path ? { path } : { port, host: boot.listen.host ?? (listenTo.hostname || undefined) });
}

/** Makes the framework's Agent and resolves when it is ready. */
export async function startFrameworkAgent(module: unknown, entry: Framework, runtime: Runtime): Promise<void> {
  const Agent = classOf<Part>(module, 'Agent', entry.file);
  const agent = new Agent({ ...entry.options });
  runtime.onClose(() => agent.close?.(), 'agent.close');
  await ready(agent, ['error', 'startTimeout']);
}

function classOf<T extends Part>(module: unknown, name: 'Application' | 'Agent', file: string): PartClass<T> {
  const exported = module as { [key: string]: unknown; default?: Record<string, unknown> } | undefined;
  const found = exported?.[name] ?? exported?.default?.[name];
  if (typeof found === 'function') return found as PartClass<T>;
  throw new ClusterError('ERR_CLUSTER_NOT_SERVABLE', `the framework ${file} exports no class ${name}`);
}

/** Waits for `ready`; one of the `fatal` events before it is a failure to start. */
function ready(part: Part, fatal: ('error' | 'startTimeout')[]): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const gaveUp = (event: string) => new ClusterError('ERR_CLUSTER_START_TIMEOUT',
      `the framework's ${part.constructor.name} gave up starting (event "${event}")`);
    const listeners = fatal.map((event) => [event, (error: unknown) => reject(error instanceof Error ? error : gaveUp(event))] as const);
    for (const [event, listener] of listeners) part.once(event, listener);
    const done = (error?: unknown): void => {
      for (const [event, listener] of listeners) part.removeListener(event, listener);
      if (error) reject(error as Error);
      else resolve();
    };
    part.ready(done);
  });
}

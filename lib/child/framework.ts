import type { FrameworkApplication, FrameworkPart, FrameworkServing, Runtime } from '../api/runtime.js';
import type { BootInfo, Entry } from '../ipc/messages.js';
import { ClusterError } from '../kit/errors.js';
import { listen } from '../kit/sockets.js';
import { createServer, makeRoom } from './serve.js';

type Framework = Extract<Entry, { kind: 'framework' }>;
type PartClass<T extends FrameworkPart> = new (options: Record<string, unknown>) => T;

/** Makes the framework's Application, waits until it is ready, and serves it unless it has no server. Resolves when it listens. */
export async function serveFramework(module: unknown, boot: BootInfo, entry: Framework, runtime: Runtime): Promise<void> {
  const Application = classOf<FrameworkApplication>(module, 'Application', entry.file);
  const app = make(Application, entry, runtime, 'application.close');
  await ready(app, ['startTimeout']);
  const { port, host, path, https } = boot.listen;
  const serving: FrameworkServing = { port: Number(entry.options.port) || port, host, path, https };
  await runtime.hooks.frameworkReady.call(app, serving);
  if (boot.listen.hasServer) await serveApplication(app, serving);
}

async function serveApplication(app: FrameworkApplication, { port, host, path, https }: FrameworkServing): Promise<void> {
  if (app.options) app.options.port = port;
  makeRoom(path);
  const server = await createServer(https, app.callback());
  // The framework's own plugins take hold of the server here, before it listens.
  app.emit('server', server);
  await listen(server, path === undefined ? { port, host } : { path });
}

/** Makes the framework's Agent and resolves when it is ready. */
export async function startFrameworkAgent(module: unknown, entry: Framework, runtime: Runtime): Promise<void> {
  const agent = make(classOf<FrameworkPart>(module, 'Agent', entry.file), entry, runtime, 'agent.close');
  await ready(agent, ['error', 'startTimeout']);
  await runtime.hooks.frameworkReady.call(agent, null);
}

function make<T extends FrameworkPart>(Part: PartClass<T>, { options }: Framework, runtime: Runtime, name: string): T {
  const part = new Part({ ...options });
  runtime.onClose(() => part.close?.(), name);
  runtime.hooks.frameworkMade.call(part);
  return part;
}

function classOf<T extends FrameworkPart>(module: unknown, name: 'Application' | 'Agent', file: string): PartClass<T> {
  const exported = module as { [key: string]: unknown; default?: Record<string, unknown> } | undefined;
  const found = exported?.[name] ?? exported?.default?.[name];
  if (typeof found === 'function') return found as PartClass<T>;
  throw new ClusterError('ERR_CLUSTER_NOT_SERVABLE', `the framework ${file} exports no class ${name}`);
}

/** Waits for `ready`; one of the `fatal` events before it is a failure to start. */
function ready(part: FrameworkPart, fatal: ('error' | 'startTimeout')[]): Promise<void> {
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

import http from 'node:http';
import { listen, type FrameworkApplication, type FrameworkPart, type FrameworkServing, type Runtime } from '../../lib/runtime.js';

/** What both parts are given. */
export interface Given {
  /** Options for Application and Agent. */
  given: Record<string, unknown>;
  asEggCluster: boolean;
}

/** What an Egg application says of its server. */
interface ClusterConfig {
  listen?: { port?: unknown; hostname?: string; path?: string };
  https?: { key?: string; cert?: string; ca?: string };
}

/** A boot hook of Egg's: a class, or an object. */
interface Boot {
  configDidLoad?(): unknown;
}
type BootHook = (Boot | { prototype?: Boot }) & { fullPath?: string };

interface Lifecycle {
  addBootHook?(hook: BootHook): void;
  registerBeforeStart?(wait: () => unknown, name: string): void;
}

/** The options that Application and Agent are made with, and what is to be waited for in their start. */
export function prepare(runtime: Runtime, { given }: Given): void {
  runtime.hooks.boot.tap('egg', ({ entry }) => { if (entry.kind === 'framework') Object.assign(entry.options, given); });
  runtime.hooks.frameworkMade.tap('egg', awaitConfiguration);
}

/**
 * Egg 4 calls `configDidLoad` and does not wait for it, and its schedules are registered there: an agent that is told `egg-ready`
 * before would have none (test/integration/egg-schedules.test.ts). What it returns becomes a part of the start.
 */
function awaitConfiguration(part: FrameworkPart): void {
  const { lifecycle } = part as { lifecycle?: Lifecycle };
  if (!lifecycle?.addBootHook || !lifecycle.registerBeforeStart) return;
  const add = lifecycle.addBootHook;
  lifecycle.addBootHook = (hook) => {
    const boot: Boot | undefined = 'prototype' in hook ? hook.prototype : hook as Boot;
    const load = boot?.configDidLoad;
    if (boot && typeof load === 'function') {
      boot.configDidLoad = function configDidLoad(this: Boot) {
        const loaded = load.call(this);
        const wait = (loaded as PromiseLike<unknown> | undefined)?.then;
        if (typeof wait === 'function') lifecycle.registerBeforeStart?.(() => loaded, `${hook.fullPath ?? 'a boot hook'}:configDidLoad`);
        return loaded;
      };
    }
    add.call(lifecycle, hook);
  };
}

/** Where an Egg application is served: options first, then its own configuration. @throws Error where that names no port */
export function arrange(app: FrameworkPart, serving: FrameworkServing, given: Record<string, unknown>, own?: number): void {
  const { listen: wanted = {}, https } = (app as { config?: { cluster?: ClusterConfig } }).config?.cluster ?? {};
  if (wanted.path && serving.path === undefined) serving.path = wanted.path;
  if (wanted.hostname && serving.host === undefined) serving.host = wanted.hostname;
  const secure = { ...https, ...serving.https, ...given.https as object | undefined };
  if (secure.key && secure.cert) serving.https = secure as FrameworkServing['https'];
  // What it was made with, and may have changed.
  const asked = Number(app.options?.port);
  serving.port = own ?? (asked || portOf(wanted, serving));
}

function portOf({ port }: NonNullable<ClusterConfig['listen']>, serving: FrameworkServing): number {
  if (port === undefined) return serving.port;
  if (typeof port === 'number' || serving.path !== undefined) return Number(port);
  throw new Error(`port should be number, but got ${String(port)}(${typeof port})`);
}

/** Plain HTTP beside what the application is served by. */
export async function listenForDebuggers(app: FrameworkApplication, port: number, host: string | undefined): Promise<void> {
  await listen(http.createServer(app.callback()), { port, host });
}

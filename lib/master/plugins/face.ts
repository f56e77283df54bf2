import type { HookName, Hooks } from '../../api/hooks.js';
import type { Master, Plugin } from '../../api/plugin.js';
import { originOf } from '../../config/provenance.js';
import { ClusterError } from '../../kit/errors.js';
import { inTime } from '../../kit/time.js';
import { HeldSocket } from '../connections/held-socket.js';
import type { Core } from '../core.js';
import { reload } from '../operations/reload.js';
import { restart } from '../operations/restart.js';
import { replaceWorker, scale } from '../operations/scale.js';
import { close } from '../operations/shutdown.js';
import type { Child } from '../processes/child.js';
import { addressOf, buildStatus, formatAddress } from '../status-report.js';
import { applyFailure } from './mistakes.js';

/**
 * Shows a plugin its face of the master, once; the hooks of the face are closed when it is done.
 * @throws ClusterError ERR_CLUSTER_PLUGIN, ERR_CLUSTER_HOOK_TIMEOUT
 */
export async function applyPlugin<Options>(core: Core, plugin: Plugin<Options>, options: Options): Promise<void> {
  const { hookTimeout } = core.options;
  const hooks = faceOfHooks(core.hooks, plugin.name);
  const late = () => new ClusterError('ERR_CLUSTER_HOOK_TIMEOUT', `plugin "${plugin.name}" did not finish apply within ${hookTimeout} ms`);
  try {
    await inTime(hookTimeout, async () => plugin.apply(faceOf(core, plugin.name, hooks.face), options), late);
  } catch (error) {
    throw applyFailure(plugin.name, error, hooks.missed, Object.keys(core.hooks));
  } finally {
    hooks.close();
  }
}

/** The master, as the plugin `name` sees it. */
function faceOf(core: Core, name: string, hooks: Hooks): Master {
  const { life, releases, workers, agent, listeners, spares, shared } = core;
  return {
    hooks,
    logger: core.logger,
    messenger: core.post.messenger,
    deadlines: core.deadlines,
    routes: core.routes,
    inheritedSockets: core.inheritedSockets,
    startedAt: life.startedAt,
    slots: workers.slots,
    get config() { return releases.current.loaded.config; },
    get target() { return releases.current.loaded.target; },
    get files() { return releases.current.loaded.files; },
    get state() { return life.state; },
    get started() { return life.started; },
    get closing() { return life.closing; },
    get generation() { return releases.current.generation; },
    get address() { return addressText(core); },
    origin: (...path) => originOf(releases.current.loaded.provenance, path),
    children: () => [...agent.children(), ...workers.children()],
    status: () => status(core),
    reload: (reason, options) => reload(core, reason, options),
    restart: (reason, options) => restart(core, reason, options),
    scale: (change) => scale(core, change),
    close: (reason, options) => close(core, reason, options),
    replace: (child, reason) => replaceWorker(core, child, reason),
    kill: async (child, reason) => { await (child as Child).kill(reason); },
    inject: (role, url, options = {}, { passive = false } = {}) => core.parts.add(name, role, String(url), options, passive),
    route: (route) => { core.routes.push(route); },
    routeConnections: (routing) => core.routing.add(name, routing),
    holdSocket: (file, mode) => HeldSocket.open(file, mode),
    takeUnserved: (take) => { listeners.fallback = take; },
    listenForWorkers: () => listeners.open(releases.current.loaded.config),
    spares: {
      get enabled() { return spares.enabled; },
      set enabled(enabled) { spares.enabled = enabled; },
      discard: () => spares.discard(),
    },
    get fillsLeftSlots() { return workers.leftReturn; },
    set fillsLeftSlots(fills) { workers.leftReturn = fills; },
    applyPlugin: (plugin, options) => applyPlugin(core, plugin, options),
    share: (key, value) => {
      const holder = shared.get(key);
      if (holder) {
        throw new ClusterError('ERR_CLUSTER_PLUGIN', `plugin "${name}" shares "${key}", which plugin "${holder.plugin}" shares already`);
      }
      shared.set(key, { plugin: name, value });
    },
    shared: (key) => shared.get(key)?.value as never,
  };
}

/** `http://127.0.0.1:7001`, where the first worker really listens; null until then. */
export function addressText({ workers }: Core): string | null {
  const address = addressOf(workers);
  return address && formatAddress(address);
}

/** What `framework status` shows, with what plugins add to it. */
export const status = async (core: Core) => core.hooks.collectStatus.call(buildStatus(core));

const REGISTERS: ReadonlySet<PropertyKey> = new Set(['tap', 'tapPromise', 'tapAsync', 'withOptions', 'intercept']);
type TapOptions = string | { name: string };

/**
 * The hooks for one plugin: its taps bear its name, whatever it calls them, and those that come after `close` are refused with
 * ERR_CLUSTER_TAP_LATE. `missed` are names it has asked for that are no hooks; it gets undefined, as it may want to know
 * whether this version has one.
 */
function faceOfHooks(hooks: Hooks, plugin: string): { face: Hooks; missed: string[]; close(): void } {
  const missed: string[] = [];
  const faces = new Map<PropertyKey, object>();
  let closed = false;
  const faceOfHook = (hook: object, name: string): object => new Proxy(hook, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      if (!REGISTERS.has(key)) return value.bind(target) as unknown;
      return (first: TapOptions, ...rest: unknown[]) => {
        if (closed) {
          throw new ClusterError('ERR_CLUSTER_TAP_LATE',
            `plugin "${plugin}" taps hook ${name} after its apply has returned: tap in apply`);
        }
        const named = typeof first === 'string' ? plugin : { ...first, name: plugin };
        const result: unknown = Reflect.apply(value, target, [key === 'intercept' ? first : named, ...rest]);
        return key === 'withOptions' ? faceOfHook(result as object, name) : result;
      };
    },
  });
  const face = new Proxy(hooks, {
    get(target, key) {
      const hook: unknown = Reflect.get(target, key);
      if (typeof key !== 'string' || !Object.hasOwn(target, key)) {
        if (typeof key === 'string' && !(key in target)) missed.push(key);
        return hook;
      }
      if (!faces.has(key)) faces.set(key, faceOfHook(target[key as HookName], key));
      return faces.get(key);
    },
  });
  return { face, missed, close: () => { closed = true; } };
}

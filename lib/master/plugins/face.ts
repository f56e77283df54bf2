import type { HookName, Hooks } from '../../api/hooks.js';
import type { SlotView } from '../../api/child.js';
import type { Status } from '../../api/control.js';
import type { Master } from '../../api/plugin.js';
import { originOf } from '../../config/provenance.js';
import { ClusterError } from '../../kit/errors.js';
import { isObject, show } from '../../kit/misuse.js';
import { onLine } from '../terminal.js';
import { formatAddress, socketAccess } from '../../kit/sockets.js';
import { HeldSocket } from '../connections/held-socket.js';
import { aFunction, closeOptions, ownChild, reloadOptions, replaceOptions, standByOptions } from '../checked-calls.js';
import type { Core } from '../core.js';
import { reload } from '../operations/reload.js';
import { restart } from '../operations/restart.js';
import { replaceWorker, scale, standBy } from '../operations/scale.js';
import { close } from '../operations/shutdown.js';
import type { Slot } from '../processes/slot.js';
import { addressOf, buildStatus } from '../status-report.js';

/** How a plugin applies another one: as the configuration would. */
export type Apply = (plugin: unknown, options: unknown) => Promise<void>;

/** What a plugin is shown of the master in its `apply`; `close` ends that time, `missed` are hooks it asked for that there are not. */
export function makeFace(core: Core, name: string, apply: Apply): { face: Master; missed: string[]; close(): void } {
  const hooks = faceOfHooks(core.hooks, name);
  let closed = false;
  const inApply: Apply = async (plugin, options) => {
    if (closed) throw new ClusterError('ERR_CLUSTER_TAP_LATE', `plugin "${name}" applies another one after its own apply has returned`);
    await apply(plugin, options);
  };
  return {
    face: faceOf(core, name, hooks.face, inApply),
    missed: hooks.missed,
    close() {
      closed = true;
      hooks.close();
    },
  };
}

/** The master, as the plugin `name` sees it. */
function faceOf(core: Core, name: string, hooks: Hooks, apply: Apply): Master {
  const { life, releases, workers, agent, listeners, spares, shared } = core;
  return {
    name,
    hooks,
    dry: core.options.dry,
    logger: core.logger,
    messenger: core.post.messenger,
    deadlines: core.deadlines,
    routes: core.routes.list,
    inheritedSockets: core.inheritedSockets,
    startedAt: life.startedAt,
    get slots() { return workers.slots.map(viewOf); },
    get listening() { return listeners.views; },
    get config() { return releases.current.loaded.config; },
    get target() { return releases.current.loaded.target; },
    get files() { return [...releases.current.loaded.files, ...releases.environment.files]; },
    get state() { return life.state; },
    get started() { return life.started; },
    get closing() { return life.closing; },
    get generation() { return releases.current.generation; },
    get clusterPort() { return releases.current.clusterPort; },
    get address() { return addressText(core); },
    origin: (...path) => originOf(releases.current.loaded.provenance, path),
    children: () => [...agent.children(), ...workers.children()],
    status: () => status(core),
    reload: async (reason, options) => reload(core, reason, reloadOptions('reload', reason, options)),
    restart: (reason, options) => restart(core, reason, options),
    scale: (change) => scale(core, change, true),
    close: async (reason, options) => close(core, reason, closeOptions(options)),
    replace: async (child, reason, how) => replaceWorker(core, ownChild('replace', child), reason, replaceOptions(how)),
    standBy: async (how) => standBy(core, standByOptions(how)),
    kill: async (child, reason) => { await ownChild('kill', child).kill(reason); },
    inject: (role, url, options = {}, { passive = false } = {}) =>
      core.parts.add({ plugin: name, url: String(url), options, passive }, role, releases.current.loaded.target.realDir),
    carryBroadcasts: (carry) => { core.post.messenger.carry = carry; },
    route: (route) => core.routes.add(name, route),
    routeConnections: (routing) => core.routing.add(name, routing),
    privateDir: () => core.dir.folder(name.replaceAll(/[^\w.@-]+/g, '-')),
    holdSocket: (file, mode) => HeldSocket.open(name, file, mode, () => socketAccess(releases.current.loaded.config).gid),
    takeUnserved: (take) => { listeners.fallback = take && aFunction('takeUnserved', take); },
    guard: (what, task) => core.faults.guard(`plugin "${name}": ${what}`, aFunction('guard', task)),
    listenForWorkers: () => listeners.open(releases.current.loaded.config),
    spares: {
      get enabled() { return spares.enabled; },
      set enabled(enabled) { spares.enabled = enabled; },
      discard: () => spares.discard(),
    },
    onLine: (listener) => onLine(listener),
    get fillsLeftSlots() { return workers.leftReturn; },
    set fillsLeftSlots(fills) { workers.leftReturn = fills; },
    applyPlugin: (plugin, options) => apply(plugin, options),
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

const views = new WeakMap<Slot, SlotView>();

/** A slot without what is the master's alone. */
function viewOf(slot: Slot): SlotView {
  const known = views.get(slot);
  if (known) return known;
  const view: SlotView = {
    index: slot.index,
    get current() { return slot.current; },
    get successor() { return slot.successor; },
    get ready() { return slot.ready; },
    get left() { return slot.left; },
    get restarts() { return slot.restarts; },
  };
  views.set(slot, view);
  return view;
}

/** `http://127.0.0.1:7001`, where the first worker really listens; null until then. */
export function addressText({ workers }: Core): string | null {
  const address = addressOf(workers);
  return address && formatAddress(address);
}

/** What `framework status` shows, with what plugins add to it. */
export const status = async (core: Core): Promise<Status> => {
  const told = core.hooks.collectStatus.call(buildStatus(core));
  return core.options.alone ? { ...told, workers: [], app: told.workers[0] ?? null } : told;
};

const TAPS: ReadonlySet<PropertyKey> = new Set(['tap', 'tapPromise', 'tapAsync']);
const REGISTERS: ReadonlySet<PropertyKey> = new Set([...TAPS, 'withOptions', 'intercept']);

/** Whatever a tap calls itself, it is its plugin's; what is no tap's options tapable refuses. */
const namedAs = (plugin: string, options: unknown): unknown =>
  typeof options === 'string' ? plugin : isObject(options) ? { ...options, name: plugin } : options;

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
      return (first: unknown, ...rest: unknown[]) => {
        if (closed) {
          throw new ClusterError('ERR_CLUSTER_TAP_LATE',
            `plugin "${plugin}" taps hook ${name} after its apply has returned: tap in apply`);
        }
        if (TAPS.has(key) && typeof rest[0] !== 'function') {
          throw new ClusterError('ERR_CLUSTER_PLUGIN',
            `plugin "${plugin}": ${name}.${String(key)}: expected a name and a function, found ${show(first)}`);
        }
        const result: unknown = Reflect.apply(value, target, [key === 'intercept' ? first : namedAs(plugin, first), ...rest]);
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

import { pluginFault } from '../config/plugin-objects.js';
import type { Origin } from '../config/provenance.js';
import type { Config } from '../config/schema.js';
import type { Target } from '../config/target.js';
import type { ChildRole, CloseReason } from '../ipc/messages.js';
import { ClusterError } from '../kit/errors.js';
import type { Logger } from '../kit/logger.js';
import { atCaller, isObject, misuse } from '../kit/misuse.js';
import type { RawHandle } from '../node/raw-sockets.js';
import type { ChildView, ListeningAddress, SlotView } from './child.js';
import type { Controllable, Route } from './control.js';
import type { Hooks } from './hooks.js';
import type { CarryBroadcasts, Messenger } from './messenger.js';

/** A schema library's common interface (https://standardschema.dev): valibot, zod, arktype and others have it. */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
    /** What it takes as JSON Schema, where the library can say it. */
    readonly jsonSchema?: { readonly input: (how: { target: 'draft-07' }) => Record<string, unknown> } | undefined;
  };
}
/** What validation gives: the value, defaults filled in, or what is wrong with it. */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | {
    readonly issues: readonly {
      readonly message: string;
      readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
    }[];
  };

/** A command that a plugin adds to `framework`, in the directory of an app that has the plugin on. */
export interface PluginCommand {
  /** One line for the list of commands; no capital, no full stop. */
  description: string;
  /** Loads its class, which extends `Command` of `hatchery/cli`, or the module whose default export that is; called when it is typed. */
  load(): unknown;
}

/**
 * A plugin. `apply` runs once in the master, before anything is forked; it taps hooks there and never later
 * (ERR_CLUSTER_TAP_LATE). Its parts for the other processes are given to `master.inject`.
 */
export interface Plugin<Options = unknown> {
  /** Names it in errors and in `framework hooks`; not empty. */
  name: string;
  /** Validates the options and fills in defaults; without it any options are taken. */
  schema?: StandardSchema<Options>;
  /** JSON Schema of the options, for editors (`framework config --schema`), where `schema` does not say it by itself. */
  jsonSchema?: Record<string, unknown>;
  /** semver ranges; outside of them the start fails with ERR_CLUSTER_ENGINE. */
  engines?: { node?: string; hatchery?: string };
  /** Plugins, by name, that have to be on, and are applied before this one. */
  needs?: readonly string[];
  /** Plugins that are applied, and so tap, after this one where they are on; else the configuration's order holds. */
  before?: readonly string[];
  /** The same for those that are applied before it. */
  after?: readonly string[];
  /** Commands, by the word that is typed. */
  commands?: Readonly<Record<string, PluginCommand>>;
  /**
   * Awaited, 30 s at most (ERR_CLUSTER_HOOK_TIMEOUT). What it throws fails the start with ERR_CLUSTER_PLUGIN, one line that
   * names the plugin.
   */
  apply(master: Master, options: Options): void | Promise<void>;
}

declare module '../config/schema.js' {
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type -- what a plugin object in a configuration is
  interface PluginObject extends Plugin {}
}

/** Types a plugin; returns it unchanged. @throws ClusterError ERR_CLUSTER_USAGE where it is none */
export function definePlugin<Options>(plugin: Plugin<Options>): Plugin<Options> {
  const isOne = isObject(plugin) && typeof plugin.name === 'string' && typeof plugin.apply === 'function';
  if (!isOne) throw misuse(definePlugin, 'an object with `name` and `apply`', plugin);
  const fault = pluginFault(plugin);
  if (fault !== undefined) throw atCaller(new ClusterError('ERR_CLUSTER_USAGE', `definePlugin: ${fault}`), definePlugin);
  return plugin;
}

/** Where the service is in its life; it only goes on, but for a reload, after which it is running again. */
export type ServiceState = 'idle' | 'startingAgent' | 'startingWorkers' | 'running' | 'reloading' | 'closing' | 'closed';

/** How long children may take to close, ms; set by graceful-exit. */
export interface Deadlines {
  /** For a worker that is told to close. */
  drain: number;
  /** For the streams (answers that have begun, uploads) of one whose place another worker has taken. */
  streams: number;
  /** For the agent. */
  agent: number;
  /** Between "not ready any more" and the first closed port. */
  shutdownDelay: number;
  /** For a worker that leaves after an uncaught exception. */
  uncaught: number;
}

/** What a plugin does with connections before a worker has them; given to {@link Master.routeConnections}. */
export interface ConnectionRouting {
  /**
   * The slot of a connection; undefined: any worker may take it. Asked again as soon as the slot's worker dies, drains or refuses it, and
   * when it has not taken it within `patience`. `unavailable` tells of slots that have not taken a connection for so long; one of
   * them may be named when nobody else is left. Of all plugins one may pick. `note` is what `prepare` gave: of a connection that a
   * worker gives back the handle is another one. `at`: where the connection has come.
   */
  pick?(client: RawHandle, unavailable: (slot: number) => boolean, note: unknown, at: ListeningAddress): number | undefined;
  /** Milliseconds that a slot without a worker, or with one that does not answer, keeps its connections; with `pick`. */
  patience?: number;
  /**
   * Sees a connection first, in the plugins' order. Calls `admit` once it may go on, or closes the handle and then calls
   * `drop`, within 30 s. What `admit` is given goes to the worker with the connection (`runtime.noteOf`): of several plugins' notes
   * that are objects all in one.
   */
  prepare?(client: RawHandle, admit: (note?: unknown) => void, drop: () => void, at: ListeningAddress): void;
}

/**
 * A unix socket that the master keeps open and never accepts from: the worker it is given to does. While there is none, or it
 * is replaced, connections wait in the kernel, so none is refused or lost.
 */
export interface HeldSocket {
  readonly path: string;
  /** Resolves when the worker accepts from it; rejects with ERR_CLUSTER_REQUEST_TIMEOUT or _CHANNEL_CLOSED. */
  give(child: ChildView): Promise<void>;
  /**
   * Its permissions anew, and its group as the configuration names it now: a reload may have changed both. Throws what the file
   * system says. @throws ClusterError ERR_CLUSTER_PLUGIN: no mode
   */
  grant(mode: number): void;
  /** For good, before its worker drains: nobody finds it any more, and the worker takes those who have come until now. */
  finish(child: ChildView): Promise<void>;
  /** The file goes with it. Idempotent. */
  close(): void;
}

/** Takes connections that no worker is there for. `again` gives one back that nothing was read from, once there is one. */
export type TakeUnserved = (client: RawHandle, again: (client: RawHandle) => void) => void;

/** Values that plugins share, by declaration merging: `declare module 'hatchery' { interface Shared { mine: Mine } }`. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- plugins fill it
export interface Shared {}

/**
 * The master, as one plugin sees it; it knows whose it is. Hooks are tapped in `apply` and never later: a later tap throws
 * ERR_CLUSTER_TAP_LATE. Everything else may be used as long as the master lives.
 */
export interface Master extends Omit<Controllable, 'onProgress'> {
  /** Of this plugin; an instance that is named in the configuration, `limiter#api`, has that name. */
  readonly name: string;
  /** Nothing is going to be started, as `framework config`, `hooks` and others only look: what `apply` would open can be left. */
  readonly dry: boolean;
  readonly hooks: Hooks;
  /** As it is now: a reload may change it. */
  readonly config: Config;
  /** What runs, and where it stands. */
  readonly target: Target;
  /** Configuration files that were read, and those of `--env-file`, absolute paths. */
  readonly files: readonly string[];
  /** Where a value of the configuration comes from: `origin('log', 'level')`. */
  origin(...path: (string | number)[]): Origin;
  /** The master's log. */
  readonly logger: Logger;
  /** The master's own: hears what is sent to `"master"`. */
  readonly messenger: Messenger;
  /** How long children may take to close; may be changed. */
  readonly deadlines: Deadlines;
  readonly state: ServiceState;
  /** All were ready once: from here on the dead are replaced. */
  readonly started: boolean;
  /** A close has begun, or is done. */
  readonly closing: boolean;
  /** Of configuration and code: 1 at the start, higher after each reload that succeeded; one that is aborted uses a number up. */
  readonly generation: number;
  /** When the master was made. */
  readonly startedAt: Date;
  /** `http://127.0.0.1:7001`, where the first worker really listens; null until then. */
  readonly address: string | null;
  /** A free port on the loopback interface, for a framework's own use in all children; undefined without one, and before the start. */
  readonly clusterPort: number | undefined;
  /** The places for workers, by index. */
  readonly slots: readonly SlotView[];
  /** Where the master accepts connections, with what waits there; empty where workers accept by themselves (`balance: "os"`). */
  readonly listening: readonly ListeningAddress[];
  /** Every child process that lives. */
  children(): ChildView[];

  /**
   * Replaces all workers with as little delay as can be: the old ones go first, connections wait until the new ones are
   * there, configuration and code are read afresh. For development; `reload` is for production. Rejects with the first
   * failure, and the slots stay empty until the next call. `signal` gives it up; the new ones run nothing of the app before
   * `hold`, which is called when the old ones are gone, has resolved.
   * @throws ClusterError ERR_CLUSTER_START, _START_TIMEOUT, _CONFIG, _APP_NOT_FOUND, _CLOSING
   */
  restart(
    reason: string, options?: { agent?: boolean; signal?: AbortSignal; hold?: () => Promise<unknown> | undefined },
  ): ReturnType<Controllable['reload']>;
  /**
   * Replaces one worker, its successor ready first: recycling. Resolves false when something else is under way or it is not
   * in charge any more. One that stands by is ended, as nothing depends on it. `leavesFirst`: where there is no room for both, it
   * has so many ms to go before its successor is forked;
   * the other workers serve meanwhile, or connections wait in the master.
   * @throws ClusterError ERR_CLUSTER_USAGE, _CLOSING, _START, _START_TIMEOUT
   */
  replace(child: ChildView, reason: CloseReason, how?: { leavesFirst?: number }): Promise<boolean>;
  /**
   * Starts a worker that is in no slot: it loads the app, and what that listens on is held back until a slot adopts it, as a tap of
   * `fillSlot` says. `slot`: the only one that may, and its `CLUSTER_SLOT` from the start; else that is unset until then.
   * `generation`: of a release that is coming, in a reload; the current one by default. Resolves when it is forked; that it has loaded
   * tells `standbyReady`. One that is not wanted any more is ended by `replace`.
   * @throws ClusterError ERR_CLUSTER_USAGE, _CLOSING, _ALONE; what a tap of `beforeForkWorker` says
   */
  standBy(how?: { slot?: number; generation?: number }): Promise<ChildView>;
  /** Kills a child with everything it has started; it is replaced like any other that dies. Resolves when it is gone. */
  kill(child: ChildView, reason: CloseReason): Promise<void>;

  /**
   * Gives this plugin's part to every child of a role that is forked from now on: a module URL whose default export
   * `(runtime, options)` runs before the app. An agent part is a reason to have an agent, unless it is `passive`.
   * @throws ClusterError ERR_CLUSTER_NOT_CLONEABLE: `options` cannot be sent; ERR_CLUSTER_PLUGIN: no such role or file
   */
  inject(role: ChildRole, url: string | URL, options?: unknown, how?: { passive?: boolean }): void;
  /** Has broadcasts with `scope: "all"` of the master's own messenger carried to other hosts; as `runtime.carryBroadcasts` in a child. */
  carryBroadcasts(carry: CarryBroadcasts): void;
  /**
   * Adds a path to the control socket and, when `open`, to the health port.
   * @throws ClusterError ERR_CLUSTER_PLUGIN: malformed, or another plugin's
   */
  route(route: Route): void;
  /**
   * Lets this plugin see connections and choose their slots. Needs `balance: "round-robin"`, where the master accepts: the
   * start fails with ERR_CLUSTER_BALANCE elsewhere, with `--workers 0` with ERR_CLUSTER_ALONE.
   * @throws ClusterError ERR_CLUSTER_PLUGIN: another plugin picks already; once started, the same where the master does not accept
   */
  routeConnections(routing: ConnectionRouting): void;
  /**
   * Opens a unix socket that workers accept from in turn, one after the other. `mode`: permissions; its group is
   * the one that the configuration names.
   * @throws ClusterError ERR_CLUSTER_START: somebody listens there, or the place is not ours to write; ERR_CLUSTER_PLUGIN: no
   * path that a socket can have, or no mode
   */
  holdSocket(file: string, mode: number): Promise<HeldSocket>;
  /**
   * Path of a folder of this plugin and this user alone (0700), for sockets and files that end with the master. A cleaner of
   * temporary files may take it: ask each time before it is needed, and it is made anew, elsewhere if need be. Throws what the
   * file system says where no place can be written to.
   */
  privateDir(): string;
  /** Listening sockets that a service manager has opened: the port or path an app asks for -> the master's descriptor. */
  readonly inheritedSockets: Record<string, number>;
  /** Takes connections while there is no worker for them, in place of letting them wait; null: they wait. */
  takeUnserved(take: TakeUnserved | null): void;
  /** Listens where the workers are expected to, when none has come that far. Rejects with what `listen` says. */
  listenForWorkers(): Promise<void>;
  /** Processes that wait, empty, to become workers: one a slot while `enabled`, some 40 MB each. `discard` ends those that wait. */
  readonly spares: { enabled: boolean; discard(): void };
  /**
   * Called for each line that a person types at the master's terminal, while the master is in the foreground there, or that
   * comes through a pipe. Returns what ends it.
   */
  onLine(listener: (line: string) => void): () => void;
  /**
   * A callback that Node calls (of a timer, a socket, an event), or a promise's that nobody waits for: what it throws or rejects
   * with is logged with this plugin's name and `what`, counted in the status, and ends nothing. Taps need none, nor do handlers
   * that are given to the master. In `framework`'s own process what no guard has caught ends nothing either.
   */
  guard<Args extends unknown[], Result>(what: string, task: (...args: Args) => Result): (...args: Args) => Result | undefined;
  /** Slots that a `beforeRefork` tap leaves empty, or a failed start, will be filled again by this plugin: nobody gives up meanwhile. */
  fillsLeftSlots: boolean;

  /**
   * Applies another plugin with these options, checked and filled in, as if it stood in the configuration behind this one.
   * Built-in ones are `hatchery/plugins/NAME`.
   * @throws ClusterError ERR_CLUSTER_PLUGIN, ERR_CLUSTER_HOOK_TIMEOUT
   */
  applyPlugin<Options>(plugin: Plugin<Options>, options?: Partial<Options>): Promise<void>;
  /** Gives other plugins something under a name. @throws ClusterError ERR_CLUSTER_PLUGIN where the name is taken */
  share<Name extends keyof Shared & string>(name: Name, value: Shared[Name]): void;
  /** What another plugin has shared; undefined when none has. */
  shared<Name extends keyof Shared & string>(name: Name): Shared[Name] | undefined;
}

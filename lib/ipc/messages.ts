import type { ErrorData } from '../kit/errors.js';
import type { LogPaths } from '../kit/log-files.js';
import type { LogFormat } from '../kit/logger.js';

/** What a process of a cluster is. */
export type Role = 'master' | 'agent' | 'worker';
/** What one that the master has forked is. */
export type ChildRole = 'agent' | 'worker';

/** Where a child really listens. `port` for TCP, `path` for a unix socket or pipe. */
export interface Address {
  protocol: 'http' | 'https' | 'http2' | 'tcp';
  host?: string;
  port?: number;
  path?: string;
}

/** An address that a worker serves, as it tells the master. */
export interface Served extends Address {
  /** What was asked for, `*:7001` or a path: the same in each worker that listens there. */
  name: string;
  /** The configuration, or the default, says so. */
  configured: boolean;
  /** Nobody else is expected to serve it: port 0, `exclusive`, a name with the process's number. */
  own: boolean;
}

/** What a worker has to serve before it is ready, as far as those before it have shown. */
export interface Expected {
  /** The configured address. */
  configured: boolean;
  /** Others, by name. */
  others: string[];
  /** Milliseconds that the others are waited for; and that all of it has to be there before it counts. */
  grace: number;
  still: number;
  /** New code may listen elsewhere, unless somebody has named the address: in development. */
  quick: boolean;
}

/**
 * Why a child is asked to close, or killed. `signal`, `uncaught`: its own decision, for a signal it got or an exception nobody
 * caught; `recycle`: health-check's; `abort`: what it was started for was given up; `masterGone`: the master has died.
 */
export type CloseReason =
  'stop' | 'reload' | 'scale' | 'recycle' | 'signal' | 'uncaught' | 'unresponsive' | 'startTimeout' | 'abort' | 'masterGone';

/** A request that is not answered yet. */
export interface RequestInFlight {
  method: string;
  /** Without its query; cut after 200 characters. */
  path: string;
  /** Milliseconds since it came, or since the drain began to look, where the former is not known. */
  age: number;
}

/** Requests that a worker could not answer any more. */
export interface CutRequests {
  count: number;
  /** The oldest 20. */
  oldest: RequestInFlight[];
}

/** What a start waits for, by its name, and since when, milliseconds since the epoch. */
export interface StartStep { name: string; since: number }

/** What a closing child still waits for, for `status` and `stop`. */
export interface Waiting {
  /** Requests that are not answered yet. */
  requests: number;
  /** How many of them are streams: answers that have begun, uploads. */
  streams: number;
  /** The oldest 20 of them. */
  inFlight?: RequestInFlight[];
  /** Other open connections: WebSockets, for instance. */
  sockets: number;
  /** Names of `onClose` functions and plugin taps still running. */
  tasks: string[];
}

/** Milliseconds that the end of a child waits for those who read its output, beyond its deadline to close. */
export const LAST_LINES = 6_000;

/** What the title of a process begins with that waits for them: all that a shell can see of it (the reaper). */
export const READING = 'last lines: ';

/** A plugin's part for a child: its default export is called with `(runtime, options)` before the app is loaded. */
export interface PartSpec {
  plugin: string;
  /** Module URL (`file:`). `.cjs` files are required, which spares a worker the ES module loader. */
  url: string;
  options: unknown;
}

/** What there is to run in a child; absolute file paths. */
export type Entry =
  | { kind: 'app'; file: string }
  | { kind: 'framework'; file: string; options: Record<string, unknown> }
  | { kind: 'agent'; file: string }
  /** An agent that exists for its plugin parts or for others to talk to. */
  | { kind: 'none' };

/** What a process was started with, as the app is to see it. */
export interface ChildWords { argv: string[]; execArgv: string[] }

/** Tells a child its words where code runs before it is told anything else (`--require`, `--import`). */
export const WORDS = 'HATCHERY_WORDS';

/** What a spare process is to get ready for, as JSON; beside MARK and WORDS the one variable that a child is told something in. */
export const WARM = 'HATCHERY_WARM';
/** The entry that it will have to load; `parts`: it has time to do ahead what it can, and these of plugins are of it. */
export interface Warmth { entry: string; parts?: string[] }

/** Tells whose a process is: all that a child has started inherits its value (lib/master/processes/leftovers.ts). */
export const MARK = 'HATCHERY_CHILD';

/** Everything a child is told; sent over its own pipe, never through argv or the environment. */
export interface BootInfo {
  role: ChildRole;
  /** Number of the process, counted from 1 for each role. */
  id: number;
  /** Stable place of a worker, 0..N-1; -1 for the agent, and for a worker that stands by for any slot. */
  slot: number;
  /** It is to load the app and to hold back what that listens on, until `child.adopt`. */
  standby: boolean;
  /** Until `child.go` it runs neither the app nor a part of a plugin that is not built in: its predecessor still does. */
  held?: boolean;
  /** Of its configuration and code: 1 at the start, one more with each reload. */
  generation: number;
  processTitle: string;
  /** Milliseconds this child may take to close, when it closes by itself. */
  timeout: number;
  /** The same for its streams, when another one takes its place. */
  streamTimeout: number;
  /** The app's directory, links resolved. */
  baseDir: string;
  entry: Entry;
  /** What plain node would give the app: `process.argv` from its second word on, and `process.execArgv` without what is ours alone. */
  words: ChildWords;
  /** Of plugins, in the order in which they run. */
  parts: PartSpec[];
  /** Where to listen, unless the app says it. */
  listen: {
    port: number;
    host?: string;
    /** HOST says so, which a shell or a tool may have set for itself. */
    hostFromEnvironment?: boolean;
    path?: string;
    https?: { key: string; cert: string; ca?: string };
    /** `server: false` was not said. */
    hasServer: boolean;
    /** A flag, a variable or a file names the port or the path; else it is the built-in default. */
    named: boolean;
    /** Null as long as nobody knows. */
    expected: Expected | null;
    /** Sockets inherited from a service manager: requested port -> descriptor in the master. */
    inherited?: Record<string, number>;
  };
  /** `files`: its output is a pipe to the master, which writes it there; null: it writes by itself. */
  log: { level: string; format: LogFormat; files: LogPaths | null };
  /** The resolved configuration as plain data. */
  config: Record<string, unknown>;
  /** An agent is configured, so messages to it have somewhere to go. */
  hasAgent: boolean;
  /** No app follows: `framework hooks` looks at what parts tap. */
  dry?: boolean;
}

/** What a worker that has stood by learns of its slot. */
export interface Adoption extends Pick<BootInfo, 'slot' | 'processTitle'> { expected: Expected | null }

/** Where each listens, as its pid, to be spoken to past the master (docs/decisions/bus.md); without `dir`, why none can. */
export interface BusPlace { dir: string | null; token: Buffer; reason?: string }

/** A process that messages can be sent to. */
export interface Member {
  pid: number;
  /** Stable index of a worker, -1 for the agent. */
  slot: number;
  ready: boolean;
  /** On the bus; false: it cannot, and the channel carries what is for it; null: not yet. */
  listens: boolean | null;
}

export interface Roster {
  members: Member[];
  slots: number;
  /** Each slot has had its process: whoever is missing is being replaced. */
  complete: boolean;
  /** Actions that taps of the hook `message` have to see: those go through the master. Null: all of them. */
  tapped: string[] | null;
}

/** A public message as it goes over the wire: in the shape that Egg's processes send, so `process.send` of one works as well. */
export interface Envelope {
  action: string;
  data?: unknown;
  /** `app`, `agent`, `master` or `parent`: the group of the sender, filled in by whoever delivers it. */
  from?: string;
  /**
   * The group it is for, `all`: workers and agent. Without one, and without `receiverPid`, workers write to the agent, the agent
   * to all workers.
   */
  to?: string;
  /** One process: its pid, `random`, or `slot:` and the index of a worker. */
  receiverPid?: number | string;
  /** Set on a request: its number, unique in the sending process. */
  request?: number;
  /** Set on an answer: the request's number. */
  reply?: number;
  /** Set on an answer that is a failure. */
  error?: ErrorData;
  /** The sender's process id, filled in by whoever delivers it. */
  senderPid?: number;
  /** Of this message alone, whoever has it: a broadcast is one. */
  id?: string;
  /** What the sender, or a plugin, has to say of the message beside its data. */
  meta?: Record<string, unknown>;
}

/**
 * Every internal message: who sends it to whom, what it carries, what answers it. A plugin adds its own by declaration
 * merging, named `plugin.noun`:
 * `declare module 'hatchery' { interface InternalMessages { 'mine.noun': { from: 'worker'; to: 'master'; data: number } } }`
 */
export interface InternalMessages {
  /** First word of a child. */
  'child.hello': { from: 'agent' | 'worker'; to: 'master'; data: { node: string } };
  /** Written by the master at the fork; a pipe keeps it until the child reads. */
  'child.boot': { from: 'master'; to: 'agent' | 'worker'; data: BootInfo };
  'child.go': { from: 'master'; to: 'agent' | 'worker'; data: null };
  /** It serves; where it listens, which expected addresses stay away, and whether it serves others in place of the configured one. */
  'child.ready': { from: 'agent' | 'worker'; to: 'master'; data: { addresses: Served[]; missing: string[]; instead: boolean } };
  /** All that it serves, each time that changes. */
  'child.listening': { from: 'worker'; to: 'master'; data: Served[] };
  /** It stands by: the app is loaded, and what that listens on is held back. */
  'child.standby': { from: 'worker'; to: 'master'; data: null };
  /** It has a slot from now on: what was held back listens. */
  'child.adopt': { from: 'master'; to: 'worker'; data: Adoption };
  /** It has heard that. */
  'child.adopted': { from: 'worker'; to: 'master'; data: null };
  /** The child's own failure, sent before it exits. */
  'child.failed': { from: 'agent' | 'worker'; to: 'master'; data: { phase: 'boot' | 'run'; error: ErrorData; output?: string } };
  /** Drain and exit 0 within `timeout` ms; streams have `streamTimeout` ms where another worker takes the place. */
  'child.close': { from: 'master'; to: 'agent' | 'worker'; data: { reason: CloseReason; timeout: number; streamTimeout: number } };
  /** Nothing but streams is left of a worker that was replaced: its place need not wait for it. */
  'child.onlyStreams': { from: 'worker'; to: 'master'; data: null };
  /** End what streams are left within `timeout` ms: they have had their time. */
  'child.move': { from: 'master'; to: 'worker'; data: { timeout: number } };
  /** SIGKILL is about to come: what is in flight is cut now, so that it shows. */
  'child.hurry': { from: 'master'; to: 'worker'; data: null };
  /** The child drains by itself (a signal, an uncaught exception, a disconnect): fork its replacement now. */
  'child.leaving': { from: 'agent' | 'worker'; to: 'master'; data: { reason: CloseReason } };
  /** SIGTERM has come to it: whether it is to leave by itself. No, where the master closes as well, which ends each in its turn. */
  'child.mayLeave': { from: 'agent' | 'worker'; to: 'master'; data: null; reply: boolean };
  /** Accept from the socket of this path, which comes over Node's own channel; the answer says that it does. */
  'child.accept': { from: 'master'; to: 'worker'; data: { path: string } };
  /** Nobody can connect to the socket of this path any more; the answer says that whoever had, has been accepted. */
  'child.acceptRest': { from: 'master'; to: 'worker'; data: { path: string } };
  /** Accept no more from your slot's socket for the listener `key`; the answer says that you do not. */
  'child.letGo': { from: 'master'; to: 'worker'; data: { key: string } };
  /** Whether it accepts from its slot's socket for that listener: when it has been given one, and when it has no room any more. */
  'child.slotSocket': { from: 'worker'; to: 'master'; data: { key: string; accepts: boolean } };
  /** Something that Node does not document is not there; what is done instead, a line. */
  'child.slowPath': { from: 'agent' | 'worker'; to: 'master'; data: string };
  /** What a start waits for now, beside the app: a plugin's part, steps that have a name. */
  'child.steps': { from: 'agent' | 'worker'; to: 'master'; data: StartStep[] };
  /** It has closed all, but its last lines are not read yet: it waits LAST_LINES ms for that at most. Counts once. */
  'child.lastLines': { from: 'agent' | 'worker'; to: 'master'; data: null };
  /** While it closes, when it changes. */
  'child.waiting': { from: 'agent' | 'worker'; to: 'master'; data: Waiting };
  /** Its time is over, and these are cut. */
  'child.cut': { from: 'worker'; to: 'master'; data: CutRequests };
  /** It wants to speak to others past the master; once. */
  'bus.join': { from: 'agent' | 'worker'; to: 'master'; data: null };
  /** Somebody does: where, and by what it is known. */
  'bus.start': { from: 'master'; to: 'agent' | 'worker'; data: BusPlace };
  /** Whether others can reach it there. */
  'bus.listens': { from: 'agent' | 'worker'; to: 'master'; data: boolean };
  /** Who is there, each time that changes; from `bus.start` on. */
  'bus.roster': { from: 'master'; to: 'agent' | 'worker'; data: Roster };
  /** A public message, on its way through the master. */
  'messenger.envelope': { from: Role; to: Role; data: Envelope };
}

export type MessageType = keyof InternalMessages & string;
export type SentBy<R extends Role> = { [T in MessageType]: R extends InternalMessages[T]['from'] ? T : never }[MessageType];
export type ReceivedBy<R extends Role> = { [T in MessageType]: R extends InternalMessages[T]['to'] ? T : never }[MessageType];
export type DataOf<T extends MessageType> = InternalMessages[T]['data'];
export type ReplyOf<T extends MessageType> = InternalMessages[T] extends { reply: infer Reply } ? Reply : void;

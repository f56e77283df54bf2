import { AsyncSeriesBailHook, AsyncSeriesHook, SyncBailHook, SyncHook, SyncWaterfallHook } from 'tapable';
import type { Config } from '../config/schema.js';
import type { Address, CloseReason, Envelope } from '../ipc/messages.js';
import type { ChildView, ExitInfo } from './child.js';
import type { ReloadResult, Status } from './control.js';

/**
 * How a child is about to be forked. A tap may change `env`, `execArgv`, `entry` and `dir` in place: where slots have entries of their
 * own, versions run beside each other, each dead worker replaced by one of the same.
 */
export interface ForkSpec {
  role: 'agent' | 'worker';
  /** Stable index of a worker; -1 for the agent, and for a worker that stands by for any slot. */
  slot: number;
  /** It loads the app and stands by, before a slot adopts it. */
  readonly standby: boolean;
  /** What it loads: the app's module, the framework or the agent's module, an absolute path; null: nothing. */
  entry: string | null;
  /** The app's directory, absolute: where the child works, and finds what it needs of its own release. */
  dir: string;
  /** Of the configuration and code that it will run. */
  generation: number;
  /** What the child's environment has beside the master's own. */
  env: Record<string, string>;
  /** Node's options. */
  execArgv: string[];
}

/**
 * What fills a slot that is about to fork: a worker that stands by, of the same generation, for this slot or for any. One that is
 * still loading, or a promise of one, is waited for; one of another `entry` or `dir` is left where it is. Undefined: a process is forked.
 */
export type FillDecision = { child: ChildView | Promise<ChildView> } | undefined;
/** When a dead worker is forked again, `delay` in ms; `leave`: not at all; undefined: as the configuration says. */
export type ReforkDecision = { delay: number } | 'leave' | undefined;
/** At the limit of deaths: keep the survivors, or close with exit code 1; undefined: as the configuration says. */
export type LimitDecision = 'degrade' | 'exit' | undefined;
/** What becomes of a child that does not answer; undefined: it is replaced. */
export type UnresponsiveDecision = 'replace' | 'ignore' | undefined;

/**
 * How the taps of a hook are treated. "gate": awaited, timed, an error in it carries the plugin's name and ends what was to
 * begin; where that goes on in any case (`reloaded`, `beforeDrain`, `beforeClose`, `closed`) it is logged. "observe": cannot
 * break the master. "decide": the first defined value wins, a throwing tap is logged and passed over; `beforeReload`, the one
 * of them that is asynchronous, is guarded as a gate. "waterfall": hands a value on.
 */
export type HookKind = 'gate' | 'observe' | 'decide' | 'waterfall';

/** What is said of a hook beside its type: `args` are the names of its arguments. */
export interface HookNote {
  kind: HookKind;
  args: readonly string[];
  /** When it is called. */
  when: string;
  /** What a tap throws is logged and the next ones run all the same, as what the hook tells of goes on all the same. */
  goesOn: boolean;
}

const notes = new WeakMap<object, HookNote>();

/** Kind, arguments and moment of a hook. */
export const noteOfHook = (hook: object): HookNote => notes.get(hook) as HookNote;

type Names<Args extends unknown[]> = { [I in keyof Args]: string };
const noted = <Hook extends object>(hook: Hook, kind: HookKind, args: readonly string[], when: string, goesOn = kind !== 'gate'): Hook => {
  notes.set(hook, { kind, args, when, goesOn });
  return hook;
};

const gate = <Args extends unknown[]>(args: Names<Args>, when: string) =>
  noted(new AsyncSeriesHook<Args>(args as never), 'gate', args, when);
/** A gate that holds up what goes on in any case. */
const pause = <Args extends unknown[]>(args: Names<Args>, when: string) =>
  noted(new AsyncSeriesHook<Args>(args as never), 'gate', args, when, true);
const observe = <Args extends unknown[]>(args: Names<Args>, when: string) =>
  noted(new SyncHook<Args>(args as never), 'observe', args, when);
const decide = <Args extends unknown[], Decision>(args: Names<Args>, when: string) =>
  noted(new SyncBailHook<Args, Decision>(args as never), 'decide', args, when);
const decideLater = <Args extends unknown[], Decision>(args: Names<Args>, when: string) =>
  noted(new AsyncSeriesBailHook<Args, Decision>(args as never), 'decide', args, when);
const waterfall = <Value>(arg: string, when: string) => noted(new SyncWaterfallHook<[Value]>([arg]), 'waterfall', [arg], when);

/** Every hook of the master. */
export const createHooks = () => ({
  configResolved: waterfall<Config>('config',
    'the configuration is loaded, at the start and at each reload; what a tap returns is validated again'),
  beforeStart: gate<[Config]>(['config'], 'before anything is forked; an error aborts the start'),
  beforeForkAgent: gate<[ForkSpec]>(['spec'], 'each fork of the agent; `env`, `execArgv`, `entry` and `dir` of the spec may be changed'),
  beforeForkWorker: gate<[ForkSpec]>(['spec'], 'each fork of a worker; also before one that stands by is adopted in place of that'),
  fillSlot: decide<[Readonly<ForkSpec>], FillDecision>(['spec'],
    'a slot is about to fork a worker: `{ child }`, one that stands by (`master.standBy`), is adopted in place of that, '
    + 'where it has the same `entry` and `dir`'),
  agentForked: observe<[ChildView]>(['child'], 'the pid is known'),
  workerForked: observe<[ChildView]>(['child'], 'the pid is known'),
  standbyReady: observe<[ChildView]>(['child'], 'a worker that stands by has loaded the app, and what that listens on is held back'),
  adopted: observe<[ChildView, number]>(['child', 'slot'], 'a slot has taken a worker that stood by; `workerReady` follows'),
  agentReady: observe<[ChildView]>(['child'], '`ready` entered'),
  workerReady: observe<[ChildView]>(['child'], '`ready` entered'),
  clusterReady: gate<[Address | null, ChildView[]]>(['address', 'children'], 'all ready for the first time'),
  startFailed: decide<[Error], 'stay' | undefined>(['error'],
    'a child failed before all were ready; `"stay"` keeps the master up, its slot empty (dev-reload does)'),
  agentExit: observe<[ChildView, ExitInfo]>(['child', 'exit'], 'once a process; exit is `{ cause, code, signal, uptime, overdue, cut }`'),
  workerExit: observe<[ChildView, ExitInfo]>(['child', 'exit'], 'once a process'),
  drained: observe<[ChildView, ExitInfo, string | null]>(['child', 'exit', 'operation'],
    'a worker that was told to close, or closed by its own decision, has ended; `exit.cut` is set where requests were cut; '
    + '`operation`, here and elsewhere, is what it was part of, such as `"reload-3"`, or null'),
  recycled: observe<[ChildView, ChildView, string | null]>(['child', 'successor', 'operation'],
    'another process has taken the place of a worker that had reached a limit, or that a plugin has replaced'),
  duckBorn: observe<[ChildView, string | null]>(['child', 'operation'],
    'a worker that was replaced has nothing but streams left, and is out of its slot'),
  duckGone: observe<[ChildView, ExitInfo, string | null]>(['child', 'exit', 'operation'],
    'such a one has ended; `workerExit` is called as well'),
  beforeRefork: decide<[ChildView, ExitInfo], ReforkDecision>(['child', 'exit'],
    'a worker died: `{ delay }` in ms, `"leave"` to leave its slot empty, or undefined'),
  reforkDelayed: observe<[number, number, number]>(['slot', 'delay', 'inRow'],
    'a slot is filled again, but later: after `delay` ms, as so many ends, or failed forks, have come one after the other'),
  reachReforkLimit: decide<[number, number[]], LimitDecision>(['slot', 'history'],
    '`refork.limit` deaths within `refork.duration`: `"degrade"`, `"exit"` or undefined'),
  workerUnresponsive: decide<[ChildView, unknown], UnresponsiveDecision>(['child', 'sample'],
    'an event loop has not answered for `hangTimeout`: `"replace"`, `"ignore"` or undefined'),
  beforeReload: decideLater<[string], string | undefined>(['reason'], 'before a rolling reload; a text vetoes it and is the reason'),
  reloaded: pause<[ReloadResult]>(['result'], 'after a rolling reload, done or aborted'),
  beforeDrain: pause<[ChildView, CloseReason]>(['child', 'reason'], 'before a child is told to close'),
  beforeScale: decide<[number, number], string | undefined>(['from', 'to'],
    'the number of workers is asked to be `to`, by a command, a signal or a plugin, also where it is that already; a text refuses it '
    + 'and is the reason'),
  scaleChanged: observe<[number, number]>(['from', 'to'], 'the number of workers wanted has changed'),
  scaled: observe<[number, number, string | null]>(['from', 'to', 'operation'],
    'the number of workers has changed: new ones are ready, those that were removed are gone'),
  beforeClose: pause<[string]>(['reason'], 'shutdown begins'),
  closed: pause<[string]>(['reason'], 'all children are gone'),
  message: decide<[Envelope], false | undefined>(['envelope'], 'each message through the master; `false` drops it. '
    + 'A tap names what it wants, `tap({ name, actions: [...] }, ...)`: between workers and agent those alone go that way') as
    SyncBailHook<[Envelope], false | undefined, { actions?: readonly string[] }>,
  collectStatus: waterfall<Status>('status', '`status` was asked'),
});

/** The hooks of one master; what each is for, and when it is called, is said in {@link createHooks} and docs/hooks.md. */
export type Hooks = ReturnType<typeof createHooks>;
export type HookName = keyof Hooks;

/** One tap, as `framework hooks` shows it. */
export interface TapRecord {
  hook: HookName;
  plugin: string;
  /** How often it was called. */
  calls: number;
  /** Milliseconds, all calls together. */
  total: number;
}

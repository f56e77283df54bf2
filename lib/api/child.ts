import type { Channel } from '../ipc/channel.js';
import type { Address, ChildRole, CloseReason, CutRequests, Waiting } from '../ipc/messages.js';
import type { ErrorData } from '../kit/errors.js';

/**
 * Where a process is in its life: it exists, it has spoken, it serves, it was told to close (or closes by itself), SIGKILL is
 * on its way, it is gone.
 */
export type ChildState = 'forked' | 'booting' | 'ready' | 'draining' | 'killing' | 'exited';
export type ChildEvent = 'hello' | 'ready' | 'close' | 'kill' | 'exit';

/** The life of one process, as data. A pair that is not in the table is ignored; that absorbs Node's event races. */
export const childTable: Readonly<Record<ChildState, Partial<Record<ChildEvent, ChildState>>>> = {
  forked: { hello: 'booting', close: 'draining', kill: 'killing', exit: 'exited' },
  booting: { ready: 'ready', close: 'draining', kill: 'killing', exit: 'exited' },
  ready: { close: 'draining', kill: 'killing', exit: 'exited' },
  draining: { kill: 'killing', exit: 'exited' },
  killing: { exit: 'exited' },
  exited: {},
};

/**
 * Why a process ended. `requested`: it was asked to; `crash`: it failed, or ended unasked; `startTimeout`: it was not ready
 * within `startTimeout`; `unresponsive`: health-check found that it hangs; `lostChannel`: the master could not reach it any
 * more; `outOfMemory`: its heap was full, or the system has killed it for memory; `cutOff`: it broke the rules of its channels.
 */
export type ExitCause = 'requested' | 'crash' | 'startTimeout' | 'unresponsive' | 'lostChannel' | 'outOfMemory' | 'cutOff';

/** The end of one process. */
export interface ExitInfo {
  cause: ExitCause;
  /** Exit code; null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Milliseconds from its fork, or from when a slot has adopted it, to its exit. */
  uptime: number;
  /** It was killed at its deadline, so many ms after it was told to close. */
  overdue?: number;
  /** So many requests were in flight that are not answered: it was at its deadline, or was killed while it drained. */
  cut?: number;
}

/** The end of the last process of a slot. */
export interface LastExit extends ExitInfo {
  pid: number;
  /** ISO 8601. */
  at: string;
  /** Milliseconds from ready to exit; absent where it has never been ready. */
  afterReady?: number;
  /** Its own failure in one line, where it told one. */
  error?: string;
}

/** What hooks and plugins see of a child. */
export interface ChildView {
  readonly role: ChildRole;
  /** Number of the process, counted from 1 for each role. */
  readonly id: number;
  /** Stable index of a worker; -1 for the agent, and for a worker that stands by for any slot, until one adopts it. */
  readonly slot: number;
  /** A worker that is in no slot yet: it loads the app, or has loaded it and waits. Null: it is none, or was adopted. */
  readonly standsBy: 'loading' | 'loaded' | null;
  readonly pid: number;
  /** What it loads, as `ForkSpec` says. */
  readonly entry: string | null;
  readonly dir: string;
  /** As it is now; a view goes on telling. */
  readonly state: ChildState;
  /** Of the configuration and code that it runs: 1 at the start, one more with each reload. */
  readonly generation: number;
  /** When it was forked, or adopted by its slot, milliseconds since the epoch. */
  readonly startedAt: number;
  /** When it became ready; null until then. */
  readonly readyAt: number | null;
  /** Where it listens, as far as it has said so. */
  readonly addresses: readonly Address[];
  /** Why it was asked to close or killed; null while nobody has. */
  readonly intent: CloseReason | null;
  /** In which operation it was told to close, `reload-3`; null: in none, or nobody has. */
  readonly operation: string | null;
  /** Its own failure, as it told before it exited. */
  readonly failure: { error: ErrorData; output?: string } | null;
  /** What it last said it waits for while it closes; a plugin that looks into one that cannot say so sets it. */
  waiting: Waiting | null;
  /** It was replaced and has nothing but streams left: it is out of its slot. */
  readonly onlyStreams: boolean;
  /** When it will be killed, as `performance.now()` tells it; null while it does not drain. */
  readonly killAt: number | null;
  /** What was cut of it; null while nothing was. */
  readonly cut: CutRequests | null;
  /** Set by a plugin that can tell more of an end nobody asked for than its code and signal do; null: no opinion. */
  explain: ((ending: Pick<ExitInfo, 'code' | 'signal'>) => ExitCause | null) | null;
  /** Typed internal messages (see InternalMessages). */
  readonly channel: Channel<'master', ChildRole>;
}

/** What plugins see of a place for a worker. It outlives its processes: sticky clients and `CLUSTER_SLOT` belong to the slot. */
export interface SlotView {
  readonly index: number;
  /** The process that serves the slot, or is on its way to. */
  readonly current: ChildView | null;
  /** A replacement that is not in charge yet. */
  readonly successor: ChildView | null;
  /** `current` is ready. */
  readonly ready: boolean;
  /** A `beforeRefork` tap said to leave it empty. */
  readonly left: boolean;
  /** Processes that have taken the place of another. */
  readonly restarts: number;
}

/** A slot, as one listening address has it. */
export interface SlotLoad {
  readonly index: number;
  /** It has a worker that takes connections here. */
  readonly ready: boolean;
  /** That one has not answered yet what it was handed last: it gets no other before. */
  readonly busy: boolean;
  /** Connections in the master that wait for this slot, as `pick` has said. */
  readonly waiting: number;
}

/** An address that workers listen on and the master accepts at. It goes on telling. */
export interface ListeningAddress {
  /** Without a host: all of them. Empty for a descriptor that was opened by another. */
  readonly address: Pick<Address, 'host' | 'port' | 'path'>;
  /** Connections in the master that wait for whatever worker is free first. */
  readonly waiting: number;
  /** Milliseconds that the one which waits longest for a worker, whichever it is, has waited until now; 0 where none does. */
  readonly longestWait: number;
  /** All slots there are now, by index. */
  readonly slots: readonly SlotLoad[];
}

import type { ChildProcess } from 'node:child_process';
import type { Worker } from 'node:cluster';
import type { ChildView, ExitCause } from '../../api/child.js';
import type { Variables } from '../../config/environment.js';
import type { Channel } from '../../ipc/channel.js';
import type { ChildRole, CloseReason } from '../../ipc/messages.js';
import { createDebug } from '../../kit/logger.js';

/** Where a process is started, and where its output goes. */
export interface ForkPlace {
  cwd: string;
  /** The package's folder that it runs from. */
  root: string;
  /** Standard output and error of the child: the master's own, or a log file's descriptors. */
  stdio: { out: number; err: number };
  /** What it has otherwise than the master's environment. */
  environment?: Variables;
}

/** A process that has just been started. */
export interface Forked {
  process: ChildProcess;
  worker: Worker | null;
  /** SIGKILL, with everything it has started. Resolves when the signals are sent. */
  kill(): void | Promise<void>;
}

const debug = createDebug('hatchery:child');

/** How far apart the ends of Node's channel and ours may be when a process dies, ms. */
const SETTLE = 50;
/** How long a process whose channel has ended may take to exit, ms. */
const LOST = 1_000;

export interface Ends {
  /** It has closed the cluster's channel, and ours is open. */
  leaves(): void;
  /** Its channel has ended, and it has not. */
  isLost(): void;
  /** It could not be started. */
  isNone(error: Error): void;
  /** Called once or twice. */
  hasGone(code: number | null, signal: NodeJS.Signals | null): void;
}

type Guard = <Args extends unknown[]>(what: string, then: (...args: Args) => unknown) => (...args: Args) => void;

/** What Node tells of a process's end, which comes in any order (docs/decisions/node-facts.md, 3). */
export function hearEnds({ process, worker }: Forked, channel: Channel<'master', ChildRole>, guard: Guard, ends: Ends): void {
  // The app, or a library such as Egg's graceful, closed the cluster's own channel: it is on its way out. A death closes ours as
  // well, and 'exit' may come after both.
  worker?.on('disconnect', () => {
    setTimeout(guard('disconnect', () => { if (channel.open) ends.leaves(); }), SETTLE);
  });
  channel.onClose(() => { setTimeout(guard('lost channel', () => ends.isLost()), LOST).unref(); });
  // node:cluster emits what goes wrong with its own messages on the worker as well: to a process that has just died, say.
  worker?.on('error', () => {});
  process.on('error', guard('error', (error: Error) => {
    debug('pid %d: %s', process.pid, error.message);
    if (process.pid === undefined) ends.isNone(error);
  }));
  process.once('exit', guard('exit', (code: number | null, signal: NodeJS.Signals | null) => {
    const gone = guard('exit', () => ends.hasGone(code, signal));
    if (!channel.open) return gone();
    channel.onClose(gone);
    setTimeout(gone, SETTLE).unref();
  }));
}

/** Intents that make an exit an expected one. */
const REQUESTED: ReadonlySet<CloseReason> = new Set(['stop', 'reload', 'scale', 'recycle', 'abort', 'signal', 'masterGone']);

/** Why a process has ended, where nobody has said so before. */
export function causeOf(child: ChildView, code: number | null, signal: NodeJS.Signals | null): ExitCause {
  if (child.intent === 'startTimeout' || child.intent === 'unresponsive') return child.intent;
  if (child.intent && REQUESTED.has(child.intent)) return 'requested';
  // Heap exhaustion ends in abort(); so do other things, which health-check tells apart, and a native module that does not load.
  const isAbort = child.readyAt !== null && (signal === 'SIGABRT' || signal === 'SIGTRAP');
  return child.explain?.({ code, signal }) ?? (isAbort ? 'outOfMemory' : 'crash');
}

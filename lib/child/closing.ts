import cluster from 'node:cluster';
import type { ClosingContext } from '../api/runtime.js';
import type { Channel } from '../ipc/channel.js';
import { LAST_LINES, READING, type ChildRole, type CloseReason } from '../ipc/messages.js';
import { atMost } from '../kit/time.js';
import { sayFarewell } from '../node/cluster-ends.js';
import { gateSignals } from '../node/events.js';
import { outputRead, outputWaits } from './output.js';
import type { ChildRuntime } from './runtime.js';

/** Exit code after the master has been SIGKILLed, as Egg's processes have it. */
export const MASTER_GONE = 110;
/** Milliseconds for messages to leave that others have not read. */
const LAST_MESSAGES = 1_000;

/** How this process ends. The one process of `--workers 0` is its master's as well, who sees to its end. */
let exit: (code: number) => void = (code) => process.exit(code);
export const endBy = (how: typeof exit): void => { exit = how; };

function gone(code: number): Promise<never> {
  exit(code);
  return new Promise<never>(() => {});
}

export interface Close {
  reason: CloseReason;
  /** Milliseconds until the master kills this process. */
  timeout: number;
  /** The same for streams, where another worker takes its place. */
  streamTimeout: number;
  code: number;
}

/**
 * The end of this process, once: drain (the taps of beforeClose), then `onClose` functions, last registered first, then the
 * app's own signal handlers, which were held back until now, then the farewell to the master.
 */
export async function closeDown(
  runtime: ChildRuntime, signals: Pick<Signals, 'release'>, { reason, timeout, streamTimeout, code }: Close,
): Promise<never> {
  if (runtime.closing) {
    hasten(runtime.closing, reason, timeout, code);
    return new Promise<never>(() => {});
  }
  const now = performance.now();
  const deadline = now + timeout;
  runtime.closing = { reason, timeout, deadline, streamDeadline: now + streamTimeout, movedAt: null };
  runtime.abort.abort(reason);
  if (reason === 'masterGone') endAt(deadline, code);
  if (runtime.ready) await runtime.hooks.beforeClose.call(runtime.closing);
  await runClosers(runtime);
  // The app's handlers exit, as a rule, where they stand.
  await lastLines(runtime);
  if (runtime.ready) {
    runtime.waiting.tasks.add('the signal handlers of the app');
    await signals.release(runtime);
  }
  await lastLines(runtime);
  const { closing } = runtime;
  await runtime.planes.sent(LAST_MESSAGES, () => closing.reason !== 'stop');
  await sayFarewell();
  return gone(code);
}

async function runClosers(runtime: ChildRuntime): Promise<void> {
  for (const { fn, name } of runtime.closers.splice(0).reverse()) {
    runtime.waiting.tasks.add(name);
    tell(runtime);
    try {
      await fn();
    } catch (error) {
      runtime.logger.error(`onClose "${name}" failed`, { error });
    }
    runtime.waiting.tasks.delete(name);
  }
}

/** Milliseconds that the `onClose` functions of a process have that did not start: others wait for its end. */
const AFTER_FAILURE = 5_000;

/** The end of a process that has failed to start: it may have told others already that it is there. */
export async function closeFailed(runtime: ChildRuntime): Promise<never> {
  const timeout = Math.min(runtime.boot.timeout, AFTER_FAILURE);
  const deadline = performance.now() + timeout;
  runtime.closing ??= { reason: 'abort', timeout, deadline, streamDeadline: deadline, movedAt: null };
  runtime.abort.abort('abort');
  if (runtime.closers.length > 0) await atMost(timeout, runClosers(runtime));
  return end(1);
}

/** Asked again, in more of a hurry perhaps: the drain reads all of this anew. */
function hasten(closing: ClosingContext, reason: CloseReason, timeout: number, code: number): void {
  if (reason !== 'stop' && reason !== 'masterGone') return;
  closing.reason = reason;
  const now = performance.now();
  // Only its streams have had more time than it: from now on they have what everybody has at a stop.
  if (closing.deadline < now + timeout) closing.deadline = Math.min(now + timeout, Math.max(closing.deadline, closing.streamDeadline));
  if (reason === 'masterGone') endAt(closing.deadline, code);
}

/** It is about to be killed. Who waits for an answer sees that it has not come whole; its connections would just end then. */
export function hurry(closing: ClosingContext | null): void {
  if (!closing) return;
  const now = performance.now();
  Object.assign(closing, { reason: 'stop', deadline: now, streamDeadline: now });
}

/** What a closing child waits for is shown by `stop` and `status`. */
function tell({ channel, waiting }: ChildRuntime): void {
  channel.send('child.waiting', { ...waiting, tasks: [...waiting.tasks] });
}

let waitsUntil: number | undefined;

/**
 * Who reads slowly gets the last lines all the same: what a pipe does not take is kept by Node in this process, and goes with
 * it (test/integration/last-lines.test.ts).
 */
async function lastLines(runtime: ChildRuntime): Promise<void> {
  if (!outputWaits()) return;
  const { channel, waiting: { tasks } } = runtime;
  if (waitsUntil === undefined) channel.send('child.lastLines', null);
  waitsUntil ??= waits();
  tasks.add('its output to be read');
  tell(runtime);
  await outputRead(waitsUntil - performance.now());
  tasks.delete('its output to be read');
}

/** From now on; shown in the title, as a master that has died is told nothing any more. */
function waits(): number {
  process.title = `${READING}${process.title}`;
  return performance.now() + LAST_LINES;
}

/** An end without a farewell, at once but for the last lines. */
export async function end(code: number): Promise<never> {
  if (!outputWaits()) return gone(code);
  waitsUntil ??= waits();
  await outputRead(waitsUntil - performance.now());
  return gone(code);
}

/** Without a master nobody else ends a drain that hangs (but a loop: that is the reaper's). */
function endAt(deadline: number, code: number): void {
  setTimeout(() => void end(code), Math.max(0, deadline - performance.now())).unref();
}

/** Both channels end with the master, in either order; this long (ms) the other one may take. */
const APART = 50;

/**
 * Calls `gone` when the master has died. node:cluster would exit at once on 'disconnect' and cut what is in flight; but an
 * app that closes Node's IPC itself (Egg's graceful does) still has our channel, and is left to what Node does then.
 */
export function masterGone(channel: Channel<ChildRole, 'master'>, gone: () => void): void {
  let called = false;
  const once = () => {
    if (called) return;
    called = true;
    gone();
  };
  channel.onClose(once);
  // What is still sent on Node's channel between the master's death and the news of it. node:cluster passes it on to the worker.
  (cluster.worker ?? process).on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') throw error;
  });
  process.prependListener('disconnect', () => {
    const { worker } = cluster;
    if (!worker) return;
    const wanted = worker.exitedAfterDisconnect;
    worker.exitedAfterDisconnect = true;
    setTimeout(() => {
      if (!channel.open) once();
      else if (!wanted) void end(0);
    }, APART);
  });
}

/** Signals that end a plain process; the app's handlers for them wait until its requests are answered. */
const HELD = new Set<string | symbol>(['SIGTERM', 'SIGINT']);
/** A terminal, and "killall -USR2 node" after a rotation, send these to the children too; the master decides what they mean. */
const LEFT_TO_MASTER = ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR2'] as const;

/**
 * Stands before the app's own signal handlers: `process.on('SIGTERM', () => process.exit())` would cut requests that are in
 * flight. They run when the drain is over (test/integration/drain-app-handlers.test.ts).
 */
export class Signals {
  readonly #pass: ReturnType<typeof gateSignals>;
  #own: (() => void) | null = null;

  /** `onTerm` is called for each SIGTERM. Must run before anybody listens to a signal. */
  constructor(onTerm: () => void) {
    this.#pass = gateSignals(HELD, (name) => {
      if (name !== 'SIGTERM') return;
      // A handler that ends by signalling its own process, as Nest's does, is done.
      if (this.#own) this.#own();
      else onTerm();
    });
    if (process.platform === 'win32') return;
    for (const name of ['SIGTERM', ...LEFT_TO_MASTER] as const) process.on(name, ignore);
  }

  /**
   * Runs the app's handlers; resolves when they have nothing left to do, which is when a plain process would end. A handler
   * that exits does so; one that hangs is for the master's deadline.
   */
  release({ channel }: ChildRuntime): Promise<void> {
    const name = (['SIGTERM', 'SIGINT'] as const).find((one) => process.listenerCount(one) > 1);
    if (!name) return Promise.resolve();
    return new Promise((resolve) => {
      this.#own = resolve;
      process.once('beforeExit', () => resolve());
      channel.hold(false);
      process.channel?.unref();
      this.#pass(name, name === 'SIGTERM' ? 15 : 2);
    });
  }
}

function ignore(): void {}

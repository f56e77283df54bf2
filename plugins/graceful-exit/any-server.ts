/**
 * `hatchery/drain`: for one process without a master of ours. Importing it tracks the servers, so it comes first; `drain()`
 * does at a signal what graceful-exit does in a worker, by the same code.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { atMost, describeError, sayFarewell, type ClosingContext, type CutRequests, type RequestInFlight } from '../../lib/runtime.js';
import { closeWorkers } from './cluster-primary.js';
import { drain as drainServers } from './drain.js';
import { checked, type DrainOptions } from './drain-options.js';
import { oldest, told } from './in-flight.js';
import { OwnSignals } from './own-signals.js';
import { TrackedServers } from './tracked-servers.js';

export type { DrainOptions } from './drain-options.js';

/** What a drain came to. */
export interface Drained {
  /** Requests that were under way at the end of `timeout`: they were cut so that their clients see it. */
  cut: number;
}

/** Drains by hand, and does not end the process; the same drain for each call. Rejects with what `onClose` threw. */
export interface Stop {
  (): Promise<Drained>;
  /** Aborted when the drain begins, whatever began it: for a readiness check, say, or to end what no request waits for. */
  readonly signal: AbortSignal;
}

const servers = new TrackedServers();
const signals = new OwnSignals();
/** Milliseconds that are left for `onClose` in any case; and between the cut and the end, at most and of the whole. */
const LEAST = 100;
const AFTER_CUT = { most: 800, share: 0.08 };
/** Milliseconds after the end of its time at which a drain that still has not ended is no more waited for. */
const OVERDUE = 500;
let isCalled = false;

/**
 * From now on a signal drains this process: its servers stop accepting, what is in flight is answered, then `onClose` runs, then
 * the app's own handlers of that signal, and the process exits with 0, or 1 if something was cut or failed. Once a process.
 * @throws Error with `code` ERR_CLUSTER_USAGE: an option that cannot be meant, a second call, or signals in a worker thread
 */
export function drain(options: DrainOptions = {}): Stop {
  const one = new ProcessDrain(checked(drain, options, isCalled));
  isCalled = true;
  return one.stop;
}

class ProcessDrain {
  readonly stop: Stop;
  readonly #options: ReturnType<typeof checked>;
  readonly #begun = new AbortController();
  readonly #hurried = new AbortController();
  readonly #closing: ClosingContext;
  readonly #failures: string[] = [];
  #stopped: Promise<Drained> | undefined;
  #lost: CutRequests = { count: 0, oldest: [] };

  constructor(options: ReturnType<typeof checked>) {
    const { timeout } = options;
    this.#options = options;
    this.#closing = { reason: 'stop', timeout, deadline: Infinity, streamDeadline: Infinity, movedAt: null };
    this.stop = Object.assign(() => this.#stop('SIGTERM'), { signal: this.#begun.signal });
    signals.listen(options.signals, (name) => void this.#bySignal(name), () => this.#hurry());
  }

  async #bySignal(name: NodeJS.Signals): Promise<void> {
    try {
      await this.#stop(name);
    } catch (error) {
      this.#failures.push(`onClose failed: ${describeError(error)}`);
    }
    try {
      await signals.release(this.#closing.deadline);
    } catch (error) {
      this.#failures.push(`a handler of ${name} failed: ${describeError(error)}`);
    }
    for (const failure of this.#failures) this.#say(failure);
    if (!this.#options.exit) return;
    await sayFarewell();
    process.exit(this.#failures.length > 0 || this.#lost.count > 0 ? 1 : undefined);
  }

  #stop(name: NodeJS.Signals): Promise<Drained> {
    return this.#stopped ??= this.#run(name);
  }

  async #run(name: NodeJS.Signals): Promise<Drained> {
    const { timeout, shutdownDelay, onClose } = this.#options;
    this.#begun.abort();
    if (shutdownDelay > 0) await delay(shutdownDelay, null, { signal: this.#hurried.signal }).catch(() => {});
    const deadline = performance.now() + timeout;
    Object.assign(this.#closing, { deadline, streamDeadline: deadline });
    if (this.#hurried.signal.aborted) this.#hurry();
    const workers = closeWorkers(name, () => this.#left());
    await this.#drain();
    this.#failures.push(...await workers);
    if (onClose && !await atMost(Math.max(LEAST, this.#left()), Promise.resolve().then(onClose))) {
      throw new Error(`onClose has not come to its end within the ${timeout} ms of \`timeout\``);
    }
    return { cut: this.#lost.count };
  }

  async #drain(): Promise<void> {
    const moved: Record<string, RequestInFlight[]> = {};
    const all = drainServers(servers.begin(), this.#closing, this.#options, {
      waiting: { requests: 0, streams: 0, sockets: 0, tasks: new Set() },
      report: () => {},
      onlyStreams: () => {},
      cut: (lost) => { this.#lost = lost; },
      moved: (what) => { for (const [name, all] of Object.entries(what)) (moved[name] ??= []).push(...all); },
    });
    let isDone = false;
    const done = all.then(() => { isDone = true; });
    while (!isDone && this.#left() > -OVERDUE) await atMost(OVERDUE, done);
    if (!isDone) this.#lost.count += servers.cutRest();
    for (const [what, all] of Object.entries(moved)) this.#tell(all.length, what, 'ended, to be opened again', oldest(all));
    this.#tell(this.#lost.count, 'request', 'cut', this.#lost.oldest);
  }

  #tell(count: number, what: string, fate: string, [first]: RequestInFlight[]): void {
    if (count > 0) this.#say(`${count} ${what}${count === 1 ? '' : 's'} ${fate}${first ? `; the oldest: ${told(first)}` : ''}`);
  }

  #left(): number {
    return this.#closing.deadline - performance.now();
  }

  /** What is under way goes now; `onClose` keeps what it has at the end of any drain. */
  #hurry(): void {
    this.#hurried.abort();
    const closing = this.#closing;
    const rest = Math.min(AFTER_CUT.most, closing.timeout * AFTER_CUT.share);
    closing.deadline = closing.streamDeadline = Math.min(closing.deadline, performance.now() + rest);
  }

  #say(text: string): void {
    this.#options.log(`drain: ${text}`);
  }
}

import type { ChildView, ExitCause } from '../../lib/index.js';
import type { BlockingCall, Sample } from './messages.js';

/** How many samples are kept for the log. */
const HISTORY = 5;

/** What the master knows of one child's health. */
export class Pulse {
  readonly child: ChildView;
  /** The last ones, oldest first. */
  readonly samples: Sample[] = [];
  /** The master's performance.now() when the child was last heard, or when it became ready, or when the master itself woke up. */
  heardAt = performance.now();
  /** The same clock when it became ready. */
  readyTick: number | null = null;
  /** Share of one core, 0..1 and above. */
  cpu: number | null = null;
  requestsPerSecond: number | null = null;
  /** It called process.abort(). */
  aborted = false;
  /** It waits for a process of its own, since that time of our clock. */
  blocking: BlockingCall & { since: number } | null = null;
  /** It is unresponsive, and that is being dealt with. */
  treated = false;

  constructor(child: ChildView) {
    this.child = child;
  }

  get last(): Sample | null {
    return this.samples.at(-1) ?? null;
  }

  /** `worker#2 (pid 4711)`; of `--workers 0` it is this very process. */
  get name(): string {
    const { role, slot, standsBy, pid } = this.child;
    return pid === process.pid ? 'the app' : `${role === 'agent' ? 'agent' : standsBy ? 'standby' : `worker#${slot}`} (pid ${pid})`;
  }

  hear(sample: Sample): void {
    const before = this.last;
    const elapsed = before ? sample.at - before.at : sample.at;
    if (elapsed > 0) {
      this.cpu = (sample.cpu - (before?.cpu ?? 0)) / elapsed;
      this.requestsPerSecond = (sample.requests - (before?.requests ?? 0)) / elapsed * 1000;
    }
    this.heardAt = performance.now();
    this.samples.push(sample);
    if (this.samples.length > HISTORY) this.samples.shift();
  }

  /** Milliseconds. */
  silence(now = performance.now()): number {
    return now - this.heardAt;
  }
}

/** What a slot has seen, over all its processes. */
export interface SlotTotals {
  slot: number;
  requests: number;
  /** Milliseconds. */
  cpu: number;
  /** How its processes ended. */
  exits: Partial<Record<ExitCause, number>>;
}

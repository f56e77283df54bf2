import type { EventLoopUtilization, IntervalHistogram } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { ownRss, type Runtime } from '../../lib/runtime.js';
import type { Sample } from './messages.js';

/** What a role knows beyond what every process does. */
export interface OwnFigures {
  requests(): number;
  connections(): Promise<number>;
}

/** Milliseconds between two looks of the histogram at its clock: in native code, 25 a second cost 0.1 % of a core. */
const RESOLUTION = 40;
/** Names of checks that the master is told, and characters of one. */
const MOST_CHECKS = 1_000;
const LINE = 1_000;

/**
 * Samples from the child's own event loop: one every interval, so its silence is the loop's silence. Nothing runs before the
 * master asks for it, when the child is ready.
 */
export class Heartbeat {
  readonly #runtime: Runtime;
  readonly #figures: OwnFigures;
  #interval = Infinity;
  #beatAt = 0;
  #delays: IntervalHistogram | null = null;
  #utilization: EventLoopUtilization | undefined;
  #connections = 0;

  constructor(runtime: Runtime, figures: OwnFigures) {
    this.#runtime = runtime;
    this.#figures = figures;
    runtime.channel.on('health.begin', ({ interval }) => this.#begin(interval));
    const { abort } = process;
    process.abort = (): never => {
      runtime.channel.sendLast('health.abort', null);
      return abort.call(process);
    };
  }

  /** A loop that is busy with one callback after the other may not come to its timers, and yet it turns. */
  readonly turned = (now: number): void => {
    if (now - this.#beatAt > this.#interval) this.#beat(now);
  };

  #begin(interval: number): void {
    this.#interval = interval;
    // Not loaded before the child is ready: it has no part in how long that takes.
    const { monitorEventLoopDelay } = process.getBuiltinModule('node:perf_hooks');
    this.#delays = monitorEventLoopDelay({ resolution: RESOLUTION });
    this.#delays.enable();
    this.#beat(performance.now());
    setInterval(() => this.#beat(performance.now()), interval).unref();
    // The last figures of a process that leaves by itself, so that totals are exact.
    process.once('exit', () => this.#runtime.channel.sendLast('health.sample', this.#sample(performance.now())));
  }

  #beat(now: number): void {
    this.#beatAt = now;
    this.#runtime.channel.send('health.sample', this.#sample(now));
    void this.#figures.connections().then((count) => { this.#connections = count; }, () => {});
  }

  #sample(now: number): Sample {
    const { user, system } = process.cpuUsage();
    const { used_heap_size: heapUsed, heap_size_limit: heapLimit } = getHeapStatistics();
    const before = this.#utilization;
    this.#utilization = performance.eventLoopUtilization();
    const delays = this.#delays;
    // Until its second look the histogram has nothing to say; it counts its own interval.
    const delay = delays && delays.count > 0 ? Math.max(0, delays.max / 1e6 - RESOLUTION) : 0;
    delays?.reset();
    return {
      at: now,
      rss: ownRss(),
      heapUsed,
      heapLimit,
      cpu: (user + system) / 1000,
      // Two looks in the same moment: 0 / 0.
      eventLoopUtilization: performance.eventLoopUtilization(this.#utilization, before).utilization || 0,
      eventLoopDelay: delay,
      requests: this.#figures.requests(),
      connections: this.#connections,
      inspected: process.getBuiltinModule('node:inspector').url() !== undefined,
      checks: [...this.#runtime.healthChecks.keys()].slice(0, MOST_CHECKS).map((name) => name.slice(0, LINE)),
    };
  }
}

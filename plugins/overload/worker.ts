import { performance } from 'node:perf_hooks';
import type { Runtime } from '../../lib/runtime.js';
import { Arrivals } from './arrivals.js';
import { Limit, type LimitOptions } from './limit.js';
import type { Shed } from './messages.js';
import { Priorities, type Priority, type Rule } from './priorities.js';
import { refuse } from './refusal.js';
import { Turns } from './turns.js';

/** What the master gives this part: all of its options. */
export interface WorkerOptions extends LimitOptions {
  retryAfter: number;
  never: string[];
  rules: Rule[];
  /** Workers that accept from one socket. */
  sharers: number;
}

const NAME = 'overload';
/** Between two reports, ms. */
export const REPORT = 200;

/** In a worker: sheds what nobody would wait for, before the app sees it, and tells the master how it is. */
export default function overload(runtime: Runtime<'worker'>, options: WorkerOptions): void {
  const limit = new Limit(options);
  const priorities = new Priorities(options);
  const turns = new Turns();
  const arrivals = new Arrivals(runtime, turns, (wait) => saw(wait), options.sharers);
  const shed: Shed = { low: 0, normal: 0, high: 0 };
  let [underWay, taken, refused] = [0, 0, 0];
  /** Since the last report. */
  let seen = { count: 0, wait: 0, taken: 0, refused: 0, loop: performance.eventLoopUtilization() };
  let told = false;
  /** How long the event loop had been idle, all in all, when a request was taken for the last time, ms. */
  let idleAt = 0;

  function saw(wait: number): void {
    limit.saw(performance.now(), wait);
    if (limit.over !== told) report();
  }

  function report(): void {
    const loop = performance.eventLoopUtilization();
    const { active, utilization } = performance.eventLoopUtilization(loop, seen.loop);
    // An early one, as it goes over its limit, is of too short a time.
    if (active + 1 >= REPORT / 2) limit.worked(active, taken - seen.taken, refused - seen.refused);
    told = limit.over;
    const { cost, target } = limit;
    const wait = seen.count === 0 ? 0 : seen.wait / seen.count;
    runtime.channel.send('overload.load', { over: told, wait, cost, turn: turns.length, busy: utilization, target, taken, shed });
    seen = { count: 0, wait: 0, taken, refused, loop };
  }

  runtime.hooks.server.tap(NAME, (server) => {
    if ('closeIdleConnections' in server || 'updateSettings' in server) arrivals.watch(server);
  });
  runtime.hooks.request.tap(NAME, (request, response) => {
    const wait = arrivals.waitOf(request);
    seen.count++;
    seen.wait += wait;
    saw(wait);
    const priority: Priority = priorities.of(request.method ?? '', request.url ?? '');
    if (!limit.takes(priority, wait, underWay, () => performance.eventLoopUtilization().idle - idleAt)) {
      if (priority !== 'never') shed[priority]++;
      refused++;
      refuse(request, response, options.retryAfter);
      return true;
    }
    taken++;
    underWay++;
    if (limit.over) idleAt = performance.eventLoopUtilization().idle;
    response.once('close', () => { underWay--; });
    return undefined;
  });

  let timer: NodeJS.Timeout | undefined;
  runtime.hooks.listening.tap(NAME, () => {
    timer ??= setInterval(() => {
      limit.look(performance.now());
      report();
    }, REPORT).unref();
  });
  runtime.onClose(() => clearInterval(timer), NAME);
}

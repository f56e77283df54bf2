import type { Master, ChildStatus, ChildView, ExitInfo, Status } from '../../lib/index.js';
import type { Sample } from './messages.js';
import { Pulse, type SlotTotals } from './pulse.js';
import { isBlockingCall, isSample } from './valid.js';

const part = (role: 'worker' | 'agent') => new URL(`./${role}.cjs`, import.meta.url);
const NAME = 'health-check';

/** The pulse of every child, and the sums of every slot. One for each master, whoever of the plugins asks first. */
export class Pulses {
  /** Milliseconds between two samples of a child. */
  interval = 1_000;
  readonly #all = new Map<ChildView, Pulse>();
  /** Of processes that are gone, by slot; -1 is the agent. */
  readonly #past = new Map<number, SlotTotals>();
  readonly #listeners: ((pulse: Pulse, sample: Sample) => void)[] = [];

  constructor(master: Master) {
    const { hooks } = master;
    for (const role of ['worker', 'agent'] as const) master.inject(role, part(role), {}, { passive: true });
    const forked = (child: ChildView) => {
      const pulse = new Pulse(child);
      this.#all.set(child, pulse);
      child.channel.on('health.sample', (sample) => {
        pulse.hear(sample);
        for (const listener of this.#listeners) listener(pulse, sample);
      }, isSample);
      child.channel.on('health.blocking', (call) => { pulse.blocking = call && { ...call, since: performance.now() }; }, isBlockingCall);
      child.channel.on('health.abort', () => { pulse.aborted = true; });
    };
    const begin = (child: ChildView) => child.channel.send('health.begin', { interval: this.interval });
    const ready = (child: ChildView) => {
      const pulse = this.#all.get(child);
      if (pulse) pulse.heardAt = pulse.readyTick = performance.now();
      // At the start the processes that still come up go first.
      if (master.started) begin(child);
    };
    const exited = (child: ChildView, exit: ExitInfo) => {
      if (child.standsBy) {
        this.#all.delete(child);
        return;
      }
      const totals = this.#pastOf(child.slot);
      totals.exits[exit.cause] = (totals.exits[exit.cause] ?? 0) + 1;
      add(totals, this.#all.get(child));
      this.#all.delete(child);
    };
    hooks.workerForked.tap(NAME, forked);
    hooks.agentForked.tap(NAME, forked);
    hooks.clusterReady.tap(NAME, () => { for (const { child } of this.ready()) begin(child); });
    hooks.workerReady.tap(NAME, ready);
    hooks.standbyReady.tap(NAME, begin);
    hooks.agentReady.tap(NAME, ready);
    hooks.workerExit.tap(NAME, exited);
    hooks.agentExit.tap(NAME, exited);
    hooks.collectStatus.tap(NAME, (status) => this.#fill(status));
  }

  /** Called for each sample, after its pulse has taken it in. */
  onSample(listener: (pulse: Pulse, sample: Sample) => void): void {
    this.#listeners.push(listener);
  }

  of(child: ChildView): Pulse | undefined {
    return this.#all.get(child);
  }

  /** Of workers that were replaced and finish their streams: nobody else would notice that one hangs, or grows. */
  ducks(): Pulse[] {
    return [...this.#all.values()].filter(({ child }) => child.onlyStreams && child.state === 'draining');
  }

  /** Of all children that are ready; the others have limits of their own. */
  ready(): Pulse[] {
    return [...this.#all.values()].filter(({ child }) => child.state === 'ready');
  }

  /** Of workers that stand by. */
  standbys(): Pulse[] {
    return [...this.#all.values()].filter(({ child }) => child.standsBy === 'loaded');
  }

  draining(): Pulse[] {
    return [...this.#all.values()].filter(({ child }) => child.state === 'draining');
  }

  /** Sums of every slot that ever had a process, the living ones included. */
  totals(): SlotTotals[] {
    const sums = new Map([...this.#past].map(([slot, totals]) => [slot, { ...totals, exits: { ...totals.exits } }]));
    for (const pulse of this.#all.values()) {
      const { slot, standsBy } = pulse.child;
      if (standsBy) continue;
      const totals = sums.get(slot) ?? nothing(slot);
      sums.set(slot, totals);
      add(totals, pulse);
    }
    return [...sums.values()].sort((a, b) => a.slot - b.slot);
  }

  #pastOf(slot: number): SlotTotals {
    const totals = this.#past.get(slot) ?? nothing(slot);
    this.#past.set(slot, totals);
    return totals;
  }

  #fill(status: Status): Status {
    const byPid = new Map<number | null, Pulse>([...this.#all.values()].map((pulse) => [pulse.child.pid, pulse]));
    const fill = (child: ChildStatus): ChildStatus => {
      const pulse = byPid.get(child.pid);
      const sample = pulse?.last;
      if (!pulse || !sample) return child;
      const { rss, heapUsed, heapLimit, eventLoopDelay, eventLoopUtilization, requests, connections } = sample;
      return {
        ...child, rss, cpu: pulse.cpu, eventLoopDelay, eventLoopUtilization, heapUsed, heapLimit, requests, connections,
        requestsPerSecond: pulse.requestsPerSecond, lastSample: Math.round(pulse.silence()),
      };
    };
    const totals = this.totals();
    return {
      ...status,
      agent: status.agent && fill(status.agent),
      workers: status.workers.map(fill),
      standby: status.standby.map((one) => ({ ...one, rss: byPid.get(one.pid)?.last?.rss ?? null })),
      exits: sumOfExits(totals),
      slots: totals.filter(({ slot }) => slot >= 0),
    };
  }
}

const nothing = (slot: number): SlotTotals => ({ slot, requests: 0, cpu: 0, exits: {} });

function add(totals: SlotTotals, pulse: Pulse | undefined): void {
  totals.requests += pulse?.last?.requests ?? 0;
  totals.cpu += pulse?.last?.cpu ?? 0;
}

function sumOfExits(totals: readonly SlotTotals[]): SlotTotals['exits'] {
  const sum: SlotTotals['exits'] = {};
  for (const { exits } of totals) {
    for (const [cause, count] of Object.entries(exits) as [keyof typeof sum, number][]) sum[cause] = (sum[cause] ?? 0) + count;
  }
  return sum;
}

declare module '../../lib/index.js' {
  interface Shared {
    /** What the children's samples tell, for plugins that show it. */
    'health-check.pulses': Pulses;
  }
}

/** The pulses of this master; the first to ask has the children send them. */
export function pulsesOf(master: Master): Pulses {
  const shared = master.shared('health-check.pulses');
  if (shared) return shared;
  const pulses = new Pulses(master);
  master.share('health-check.pulses', pulses);
  return pulses;
}

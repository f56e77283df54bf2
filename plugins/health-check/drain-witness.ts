import type { ChildView, ExitInfo, Master } from '../../lib/index.js';
import type { Evidence } from './evidence.js';
import type { Pulse } from './pulse.js';
import type { Pulses } from './pulses.js';

const NAME = 'health-check';
/** How long before a child is killed one looks into it: what is found out takes 3 s at most. ms; half of a shorter time. */
const BEFORE = 4_000;
/** Silent for so many intervals between samples: it hangs, as far as one can tell. */
const SILENT = 1.2;

/**
 * A child that hangs while it drains is killed at its deadline like one that is slow, and nobody would know why: shortly
 * before that one looks into it, and says what was found if it is killed indeed.
 */
export class DrainWitness {
  readonly #master: Master;
  readonly #pulses: Pulses;
  /** Of children that drain: when they are looked into, and what was found. */
  readonly #seen = new WeakMap<Pulse, { timer: NodeJS.Timeout; evidence: Evidence | null }>();

  constructor(master: Master, pulses: Pulses) {
    this.#master = master;
    this.#pulses = pulses;
    const exited = (child: ChildView, exit: ExitInfo): void => this.#tell(child, exit);
    // Before the pulse is forgotten.
    master.hooks.workerExit.tap({ name: NAME, stage: -10 }, exited);
    master.hooks.agentExit.tap({ name: NAME, stage: -10 }, exited);
  }

  /** To be called every now and then. */
  look(now = performance.now()): void {
    for (const pulse of this.#pulses.draining()) {
      const { killAt } = pulse.child;
      if (killAt === null || this.#seen.has(pulse)) continue;
      const left = killAt - now;
      const timer = setTimeout(() => void this.#lookInto(pulse), Math.max(0, left - Math.min(BEFORE, left / 2))).unref();
      this.#seen.set(pulse, { timer, evidence: null });
    }
  }

  async #lookInto(pulse: Pulse): Promise<void> {
    const { child } = pulse;
    const hangs = () => child.state === 'draining' && pulse.silence() > SILENT * this.#pulses.interval;
    if (!hangs()) return;
    try {
      const { collectEvidence } = await import('./evidence.js');
      const evidence = await collectEvidence(pulse);
      const seen = this.#seen.get(pulse);
      if (!seen || !hangs()) return;
      seen.evidence = evidence;
      const { requests } = evidence;
      if (!requests) return;
      // It cannot say itself what it has not answered.
      const inFlight = requests.map(({ method, path, age }) => ({ method, path: path.split('?', 1)[0] as string, age: age ?? 0 }));
      child.waiting = { sockets: 0, streams: 0, tasks: [], ...child.waiting, requests: requests.length, inFlight };
    } catch (error) {
      this.#master.logger.error(error as Error);
    }
  }

  #tell(child: ChildView, { overdue }: ExitInfo): void {
    const pulse = this.#pulses.of(child);
    const seen = pulse && this.#seen.get(pulse);
    if (!seen) return;
    clearTimeout(seen.timer);
    const { evidence } = seen;
    if (!evidence || overdue === undefined) return;
    void import('./evidence.js').then(({ describeEvidence }) => {
      const { logger, config } = this.#master;
      const { text, fields } = describeEvidence(evidence, config.log.format);
      logger.warn(`${pulse.name} hung while it drained, and was killed: its event loop ${text}`, fields);
    });
  }
}

import type { Master, ChildView } from '../../lib/index.js';
import type { Pulse } from './pulse.js';
import type { Pulses } from './pulses.js';
import { areFailedChecks } from './valid.js';

export interface ReadinessOptions {
  /** So many workers make the service ready. */
  quorum: number;
  /** Milliseconds that a check, and a silent event loop, may take. */
  checkTimeout: number;
}

export interface Verdict {
  ready: boolean;
  /** Workers that are ready and pass their checks, as far as was looked: it ends at the quorum. */
  passed: number;
  quorum: number;
  workers: number;
  reasons: string[];
}

/** What a check's answer may take longer than the check itself, ms. */
const MARGIN = 250;

/** Whether the service can serve: `quorum` workers are ready, turn their event loop and pass the app's own checks. */
export class Readiness {
  readonly #master: Master;
  readonly #pulses: Pulses;
  readonly #options: ReadinessOptions;
  /** Looks under way: many probes at once cost a worker one. */
  readonly #looks = new WeakMap<ChildView, Promise<string[]>>();

  constructor(master: Master, pulses: Pulses, options: ReadinessOptions) {
    this.#master = master;
    this.#pulses = pulses;
    this.#options = options;
  }

  /** Resolves as soon as the quorum is reached: a slow check of one worker delays nobody. */
  async verdict(): Promise<Verdict> {
    const { quorum } = this.#options;
    const { config, closing, started } = this.#master;
    const verdict: Verdict = { ready: false, passed: 0, quorum, workers: config.workers, reasons: [] };
    if (closing) return { ...verdict, reasons: ['the service is closing'] };
    if (!started) return { ...verdict, reasons: ['the service is starting'] };
    const workers = this.#pulses.ready().filter(({ child }) => child.role === 'worker');
    await new Promise<void>((resolve) => {
      let open = workers.length;
      for (const pulse of workers) {
        void this.#look(pulse).then((reasons) => {
          verdict.reasons.push(...reasons);
          if (reasons.length === 0) verdict.passed++;
          if (verdict.passed >= quorum || --open === 0) resolve();
        });
      }
      if (open === 0) resolve();
    });
    // It may have begun to close while the checks ran.
    if (this.#master.closing) return { ...verdict, reasons: ['the service is closing'] };
    const ready = verdict.passed >= quorum;
    if (!ready) {
      verdict.reasons.unshift(`${verdict.passed} of ${quorum} workers needed are ready (${workers.length} of ${config.workers} run)`);
    }
    return { ...verdict, ready };
  }

  /** Why a worker does not count; nothing when it does. */
  #look(pulse: Pulse): Promise<string[]> {
    const silent = this.#silence(pulse);
    if (silent) return Promise.resolve([silent]);
    const full = this.#master.shared('overload.reason')?.(pulse.child);
    if (full) return Promise.resolve([`${pulse.name}: ${full}`]);
    // Most apps have no checks: nobody is asked.
    if (!pulse.last?.checks.length) return Promise.resolve([]);
    const look = this.#looks.get(pulse.child) ?? this.#ask(pulse).finally(() => this.#looks.delete(pulse.child));
    this.#looks.set(pulse.child, look);
    return look;
  }

  #silence(pulse: Pulse): string | null {
    const silence = pulse.silence();
    if (silence <= this.#options.checkTimeout + this.#pulses.interval) return null;
    return `${pulse.name}: its event loop has not answered for ${Math.round(silence)} ms`;
  }

  async #ask(pulse: Pulse): Promise<string[]> {
    const { checkTimeout } = this.#options;
    try {
      const asked = { timeout: checkTimeout + MARGIN, valid: areFailedChecks };
      const failed = await pulse.child.channel.request('health.check', { timeout: checkTimeout }, asked);
      return failed.map(({ name, reason }) => `${pulse.name}: check "${name}": ${reason}`);
    } catch (error) {
      return [`${pulse.name}: its checks were not answered: ${(error as Error).message}`];
    }
  }
}

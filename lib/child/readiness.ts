import type { BootInfo, Served } from '../ipc/messages.js';
import type { ListenState } from './server-tracker.js';

/** Milliseconds that an address which somebody named is waited for while the app serves another one. */
const INSTEAD = 5_000;
/** Milliseconds without a further listen after which an app that was told no address serves what it is there for. */
const QUIET = 300;
/**
 * Milliseconds that all that is wanted has to be there: who opened a server to see whether its port is free closes it in its
 * callback, or in a timer from there. A timer of ours comes after that one; longer where somebody relies on it (`Expected`), or it has
 * closed one. Of a worker that has stood by such servers have listened before.
 */
const STILL = { first: 1, adopted: 5, closed: 25 };

/** How a worker became ready. */
export interface Reached {
  /** Names of expected addresses that it does not serve. */
  missing: string[];
  /** It serves others in place of the configured address. */
  instead: boolean;
}

/** What is to be waited for, as `BootInfo.listen` has it. */
export type Wanted = Pick<BootInfo['listen'], 'named' | 'expected'>;

type Verdict = Reached | { at: number } | null;

/**
 * When a worker is ready: it serves the address that it is there for. One that somebody named has to be served, or another
 * one for 5 s without it; with the built-in default it is whatever listens, as soon as nothing more does for 300 ms. What those
 * before it have served is known, and waited for no longer than until it is there (docs/decisions/ready.md).
 */
export class Readiness {
  readonly reached: Promise<Reached>;
  /** It is reached; what happens later does not change it. */
  done = false;
  #wanted: Wanted;
  readonly #state: Pick<ListenState, 'served' | 'pending'>;
  #resolve!: (reached: Reached) => void;
  #timer: NodeJS.Timeout | undefined;
  /** performance.now() since when the configured address is served, any is; of the last listen; and of the last change. */
  #configuredSince: number | null = null;
  #servedSince: number | null = null;
  #lastListen = 0;
  #changedAt = 0;
  #still: number;
  #known = 0;
  #names = '';
  #saidAt: number | null = null;
  #loaded = false;
  #waits: boolean;

  /** `waits`: nothing is judged before `begin`. */
  constructor(wanted: Wanted, state: Pick<ListenState, 'served' | 'pending' | 'onChange'>, waits = false) {
    this.#waits = waits;
    this.#wanted = wanted;
    this.#still = wanted.expected?.still ?? STILL.first;
    this.#state = state;
    this.reached = new Promise((resolve) => { this.#resolve = resolve; });
    state.onChange(() => this.#look());
  }

  /** The app says so, or has come to its end where it has no server. What others rely on is waited for all the same, for a while. */
  said(): void {
    this.#saidAt ??= performance.now();
    this.#look();
  }

  /** All that the app does to start is done: from here on it is ready when it serves. What it served before had time already. */
  loaded(): void {
    this.#loaded = true;
    this.#look();
  }

  /** It has stood by, and is to serve this from now on. */
  begin(wanted: Wanted): void {
    this.#wanted = wanted;
    this.#still = STILL.adopted;
    if (this.#saidAt !== null) this.#saidAt = performance.now();
    this.#waits = false;
    this.#look();
  }

  #look(): void {
    if (this.done || this.#waits) return;
    clearTimeout(this.#timer);
    const verdict = this.#judge(this.#state.served());
    if (verdict === null) return;
    if ('at' in verdict) {
      this.#timer = setTimeout(() => this.#look(), Math.max(0, verdict.at - performance.now()));
      return;
    }
    this.done = true;
    this.#resolve(verdict);
  }

  #judge(served: Served[]): Verdict {
    const now = performance.now();
    const configured = served.some((one) => one.configured);
    this.#note(now, served, configured);
    if (!this.#loaded && this.#saidAt === null) return null;
    const { named, expected } = this.#wanted;
    const missing = (expected?.others ?? []).filter((name) => !served.some((one) => one.name === name || one.name === everywhere(name)));
    const lacksConfigured = !configured && (expected?.configured ?? true);
    const due = (at: number): Verdict =>
      now >= at ? { missing, instead: (named || expected !== null) && lacksConfigured && this.#saidAt === null } : { at };

    if (!lacksConfigured && missing.length === 0 && this.#state.pending.size === 0) return due(this.#changedAt + this.#still);
    // Those before it serve it: without it the reload would lose what comes there. Where nobody named it, new code in
    // development may have another one.
    if (expected?.configured && lacksConfigured && (named || !expected.quick)) return null;
    if (this.#saidAt !== null) return due(expected ? Math.max(this.#saidAt, this.#configuredSince ?? 0) + expected.grace : now);
    return this.#dueWithout(lacksConfigured, missing, served, due);
  }

  /** Something of what is wanted is not served, or more is about to be. */
  #dueWithout(lacksConfigured: boolean, missing: string[], served: Served[], due: (at: number) => Verdict): Verdict {
    const { named, expected } = this.#wanted;
    if (this.#servedSince === null) return null;
    if (!lacksConfigured) return missing.length === 0 ? null : due((this.#configuredSince ?? this.#servedSince) + (expected?.grace ?? 0));
    if (expected && !expected.configured) return due(this.#servedSince + expected.grace);
    if (named || expected || served.every((one) => one.own && !one.name.endsWith(':0'))) return due(this.#servedSince + INSTEAD);
    return this.#state.pending.size === 0 ? due(this.#lastListen + QUIET) : null;
  }

  #note(now: number, served: Served[], configured: boolean): void {
    const names = served.map(({ name }) => name).join();
    if (served.length > this.#known) this.#lastListen = now;
    if (names !== this.#names) this.#changedAt = now;
    if (this.#configuredSince !== null && !configured) this.#still = Math.max(this.#still, STILL.closed);
    this.#known = served.length;
    this.#names = names;
    this.#servedSince = served.length === 0 ? null : this.#servedSince ?? now;
    this.#configuredSince = configured ? this.#configuredSince ?? now : null;
  }
}

/** The name of the address that covers this one, on all hosts. */
const everywhere = (name: string): string => name.replace(/^[^/]*(?=:\d+$)/, '*');

import { constants } from 'node:os';
import { gateSignals } from '../../lib/runtime.js';

/** A terminal's Ctrl-C comes twice where npm or a shell passes it on as well: within this time (ms) it is one. */
const ONE_PRESS = 500;
/** What the app's handlers begin and nobody can see the end of has so long, ms; a promise that one returns is waited for. */
const UNSEEN = 5_000;

type Handler = (name: string, number: number) => unknown;

/**
 * Signals of a process without a master. The app's own handlers wait until the drain is over, as they do in a worker:
 * `process.on('SIGTERM', () => process.exit())` would cut what is in flight. Where somebody listened before this was made, Node
 * has made its way past us, and the handlers of that signal run at once.
 */
export class OwnSignals {
  readonly #held = new Set<string>();
  readonly #listener = (name: NodeJS.Signals): void => this.#came(name, false);
  #begin: ((name: NodeJS.Signals) => void) | null = null;
  #hurry: () => void = () => {};
  #first: { name: NodeJS.Signals; at: number; held: boolean } | null = null;
  #own: (() => void) | null = null;

  /** Must be made before anybody listens to a signal. */
  constructor() {
    gateSignals(this.#held, (name) => this.#came(name as NodeJS.Signals, true));
  }

  /** `begin` is called for the first of them, `hurry` for one that comes later on. */
  listen(names: readonly NodeJS.Signals[], begin: (name: NodeJS.Signals) => void, hurry: () => void): void {
    this.#begin = begin;
    this.#hurry = hurry;
    for (const name of names) {
      if (process.listenerCount(name) === 0) this.#held.add(name);
      process.on(name, this.#listener);
    }
  }

  #came(name: NodeJS.Signals, held: boolean): void {
    const now = performance.now();
    // A handler that ends by signalling its own process, as Nest's does, is done.
    if (this.#own) return this.#own();
    if (this.#first) {
      if (now - this.#first.at > ONE_PRESS) this.#hurry();
      return;
    }
    this.#first = { name, at: now, held };
    this.#begin?.(name);
  }

  /** Runs the app's handlers that have waited; resolves when they have nothing left to do, or `until` (performance.now()). */
  async release(until: number): Promise<void> {
    if (!this.#first?.held) return;
    const { name } = this.#first;
    const handlers = (process.rawListeners(name) as Handler[]).filter((one) => one !== this.#listener);
    if (handlers.length === 0) return;
    const left = until - performance.now();
    const number = constants.signals[name];
    await new Promise<void>((resolve, reject) => {
      this.#own = resolve;
      // Nothing of ours keeps the process alive now: it comes to its end where a plain one would.
      process.once('beforeExit', () => resolve());
      const results = handlers.map((handler) => handler.call(process, name, number));
      const isSeen = results.every((one) => one instanceof Promise);
      Promise.all(results).then(() => { if (isSeen) resolve(); }, reject);
      setTimeout(resolve, Math.max(0, isSeen ? left : Math.min(left, UNSEEN))).unref();
    });
  }
}

import { gateSignals } from '../node/events.js';
import type { ChildRuntime } from './runtime.js';

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

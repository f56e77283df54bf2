import { atMost, ClusterError, messageOf, type Lease, type Logger } from '../../lib/runtime.js';
import { clock, HeldLease, timeLeft, type Moment } from './held-lease.js';
import type { Granted } from './link.js';

/** How leases are had of Redis; calls reject with ERR_CLUSTER_..., or with Redis's own error. */
export interface Registry {
  acquire(name: string, holder: string, floor: number): Promise<Granted>;
  renew(name: string, token: number, holder: string): Promise<boolean>;
  release(name: string, token: number, holder: string): Promise<unknown>;
}

/** Milliseconds after a failure, and by chance beside those that are told. */
const RETRY = 500;
const CHANCE = 100;
/** Milliseconds for letting go as the process closes: what is not let go ends by itself. */
const LAST = 1_000;
/** Characters of a name. */
const LONGEST = 200;
/** Names whose highest token is remembered. */
const NAMES = 10_000;

export interface LeasesNeeds {
  registry: Promise<Registry>;
  /** Of a lease, ms. */
  ttl: number;
  /** Of this process: no other one anywhere has it. */
  holder: string;
  logger: Pick<Logger, 'info' | 'warn' | 'debug'>;
  now?: () => Moment;
}

/** What came of asking once; `late`: it was had, and its time was over. */
interface Asked { lease?: Lease; late?: boolean; wait: number }

const usage = (text: string) => new ClusterError('ERR_CLUSTER_USAGE', `context.lead: ${text}`);

/** The leases of one process, and those that it waits for. */
export class Leases {
  readonly #needs: LeasesNeeds;
  readonly #held = new Set<HeldLease>();
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #highest = new Map<string, number>();
  readonly #closing = new AbortController();
  #refused = '';
  #serial = 0;

  constructor(needs: LeasesNeeds) {
    this.#needs = needs;
  }

  /** As `context.lead`. */
  readonly lead = async (name: string, options: { signal?: AbortSignal } = {}): Promise<Lease> => {
    if (typeof options !== 'object' || options === null) throw usage('expected an object of options');
    if (typeof name !== 'string' || name === '' || name.length > LONGEST) throw usage(`expected a name of 1 to ${LONGEST} characters`);
    const { signal } = options;
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw usage('expected an AbortSignal as `signal`');
    const over = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal;
    const registry = await unlessOver(over, this.#needs.registry);
    let holder = this.#newHolder();
    for (;;) {
      over.throwIfAborted();
      const { lease, late, wait } = await this.#ask(registry, name, holder, over);
      if (lease) return lease;
      // What lets that one go must never meet the next one.
      if (late) holder = this.#newHolder();
      await this.#pause(name, Math.min(wait, this.#needs.ttl) + Math.random() * CHANCE, over);
    }
  };

  /** Nobody has it at the moment, as far as is known: whoever waits for it asks at once. */
  free(name: string): void {
    for (const wake of this.#waiting.get(name) ?? []) wake();
  }

  /** Lets all go; nobody here waits any more. */
  async close(): Promise<void> {
    this.#closing.abort(new ClusterError('ERR_CLUSTER_CLOSING', 'context.lead: this process closes'));
    await atMost(LAST, Promise.all([...this.#held].map((lease) => lease.release())));
  }

  #newHolder(): string {
    return `${this.#needs.holder}/${++this.#serial}`;
  }

  async #ask(registry: Registry, name: string, holder: string, over: AbortSignal): Promise<Asked> {
    const now = this.#needs.now ?? clock;
    // Counted from before it was asked for: in Redis it lasts longer than here, never the other way round.
    const asked = now();
    const asking = registry.acquire(name, holder, this.#highest.get(name) ?? 0);
    try {
      const { token, wait, highest } = await unlessOver(over, asking);
      this.#note(name, highest);
      if (token === 0) return { wait };
      if (timeLeft(this.#needs.ttl, asked, now()) > 0) return { lease: this.#hold(registry, name, token, holder, asked), wait: 0 };
      void registry.release(name, token, holder).catch(() => {});
      return { late: true, wait: 0 };
    } catch (error) {
      if (over.aborted) {
        void asking.then(({ token }) => token > 0 && registry.release(name, token, holder)).catch(() => {});
        throw error;
      }
      this.#tell(error);
      return { wait: RETRY };
    }
  }

  #hold(registry: Registry, name: string, token: number, holder: string, asked: Moment): HeldLease {
    const { ttl, logger, now = clock } = this.#needs;
    const lease = new HeldLease({ name, token, ttl, asked, now, logger,
      renew: () => registry.renew(name, token, holder),
      release: () => registry.release(name, token, holder),
      ended: () => this.#held.delete(lease),
    });
    this.#held.add(lease);
    return lease;
  }

  #note(name: string, highest: number): void {
    if (this.#highest.size >= NAMES && !this.#highest.has(name)) this.#highest.clear();
    this.#highest.set(name, Math.max(highest, this.#highest.get(name) ?? 0));
  }

  /** Redis's own word, once: that it is away its connection tells. */
  #tell(error: unknown): void {
    const { code } = error as { code?: string };
    const text = messageOf(error);
    if ((typeof code === 'string' && code.startsWith('ERR_CLUSTER_')) || text === this.#refused) return this.#needs.logger.debug(text);
    this.#refused = text;
    this.#needs.logger.warn(`Redis gives no leases: ${text}`);
  }

  async #pause(name: string, ms: number, over: AbortSignal): Promise<void> {
    const all = this.#waiting.get(name) ?? new Set();
    this.#waiting.set(name, all);
    await new Promise<void>((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        over.removeEventListener('abort', wake);
        all.delete(wake);
        if (all.size === 0 && this.#waiting.get(name) === all) this.#waiting.delete(name);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      all.add(wake);
      over.addEventListener('abort', wake);
    });
  }
}

/** Rejects with the signal's reason once that is aborted; what was asked goes on. */
async function unlessOver<T>(over: AbortSignal, asked: Promise<T>): Promise<T> {
  over.throwIfAborted();
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(over.reason as Error);
    over.addEventListener('abort', stop);
  });
  try {
    return await Promise.race([asked, aborted]);
  } finally {
    over.removeEventListener('abort', stop);
  }
}

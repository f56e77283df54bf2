import { atMost, ClusterError, messageOf, type Lease, type Logger } from '../../lib/runtime.js';
import { beatOf, type Granted } from './link.js';

/** How leases are had of Redis; calls reject with ERR_CLUSTER_..., or with Redis's own error. */
export interface Registry {
  acquire(name: string, holder: string, floor: number): Promise<Granted>;
  renew(name: string, token: number, holder: string): Promise<boolean>;
  release(name: string, token: number, holder: string): Promise<unknown>;
}

/** A moment by both clocks, ms: the steady one stands still while the machine sleeps, the other one may be set. */
export interface Moment { steady: number; wall: number }
const clock = (): Moment => ({ steady: performance.now(), wall: Date.now() });

/** How much of its time a lease counts for its holder: the rest is for clocks that do not run alike. */
const SHARE = 0.9;
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
    if (typeof name !== 'string' || name === '' || name.length > LONGEST) throw usage(`expected a name of 1 to ${LONGEST} characters`);
    const { signal } = options;
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw usage('expected an AbortSignal as `signal`');
    const over = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal;
    const registry = await unlessOver(over, this.#needs.registry);
    const holder = `${this.#needs.holder}/${++this.#serial}`;
    for (;;) {
      over.throwIfAborted();
      const { lease, wait } = await this.#ask(registry, name, holder, over);
      if (lease) return lease;
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

  async #ask(registry: Registry, name: string, holder: string, over: AbortSignal): Promise<{ lease?: Lease; wait: number }> {
    const now = this.#needs.now ?? clock;
    // Counted from before it was asked for: in Redis it lasts longer than here, never the other way round.
    const asked = now();
    const asking = registry.acquire(name, holder, this.#highest.get(name) ?? 0);
    try {
      const { token, wait, highest } = await unlessOver(over, asking);
      this.#note(name, highest);
      if (token === 0) return { wait };
      const lease = this.#hold(registry, name, token, holder, asked);
      return lease.valid ? { lease, wait: 0 } : { wait: 0 };
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
    if (lease.valid) this.#held.add(lease);
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

interface HeldNeeds extends Pick<LeasesNeeds, 'ttl' | 'logger'> {
  name: string;
  token: number;
  asked: Moment;
  now: () => Moment;
  renew(): Promise<boolean>;
  release(): Promise<unknown>;
  ended(): void;
}

/** One that is held: renewed until it is let go, or its time is over before it could be. */
class HeldLease implements Lease {
  readonly #needs: HeldNeeds;
  readonly #lost = new AbortController();
  #asked: Moment;
  #ends: NodeJS.Timeout | undefined;
  #renews: NodeJS.Timeout | undefined;
  #released: Promise<void> | null = null;

  constructor(needs: HeldNeeds) {
    this.#needs = needs;
    this.#asked = needs.asked;
    this.#count();
    if (this.valid) this.#renewIn(beatOf(needs.ttl));
  }

  get name(): string { return this.#needs.name; }
  get token(): number { return this.#needs.token; }
  get signal(): AbortSignal { return this.#lost.signal; }

  get valid(): boolean {
    if (this.#lost.signal.aborted) return false;
    if (this.#left > 0) return true;
    this.#lose('it was not renewed in time');
    return false;
  }

  release(): Promise<void> {
    if (!this.#lost.signal.aborted) this.#end('it was let go');
    return this.#released ??= this.#needs.release().then(() => {}, () => {});
  }

  /** Milliseconds by the clock that has run further. */
  get #left(): number {
    const { steady, wall } = this.#needs.now();
    return this.#needs.ttl * SHARE - Math.max(steady - this.#asked.steady, wall - this.#asked.wall);
  }

  #count(): void {
    clearTimeout(this.#ends);
    this.#ends = setTimeout(() => { if (this.valid) this.#count(); }, Math.max(1, this.#left));
  }

  #renewIn(ms: number): void {
    this.#renews = setTimeout(() => void this.#renew(), ms);
  }

  async #renew(): Promise<void> {
    if (!this.valid) return;
    const asked = this.#needs.now();
    try {
      const goesOn = await this.#needs.renew();
      // Whatever the answer is, it comes too late.
      if (!this.valid) return;
      if (!goesOn) return this.#lose('Redis does not know it any more');
      this.#asked = asked;
      this.#count();
      this.#renewIn(beatOf(this.#needs.ttl));
    } catch (error) {
      if (!this.valid) return;
      this.#needs.logger.debug(`the lease "${this.name}" is not renewed: ${messageOf(error)}`);
      this.#renewIn(Math.min(RETRY, this.#left / 2));
    }
  }

  #lose(why: string): void {
    this.#needs.logger.warn(`the lease "${this.name}" (token ${this.token}) is lost: ${why}`);
    this.#end(why);
    // Redis may have it for a while yet, for nobody.
    void this.release();
  }

  #end(why: string): void {
    clearTimeout(this.#ends);
    clearTimeout(this.#renews);
    this.#lost.abort(new ClusterError('ERR_CLUSTER_LEASE_LOST', `the lease "${this.name}" is held no more: ${why}`));
    this.#needs.ended();
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

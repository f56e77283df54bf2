import { ClusterError, messageOf, type Lease, type Logger } from '../../lib/runtime.js';
import { beatOf } from './link.js';

/** A moment by both clocks, ms: the steady one stands still while the machine sleeps, the other one may be set. */
export interface Moment { steady: number; wall: number }
export const clock = (): Moment => ({ steady: performance.now(), wall: Date.now() });

/** How much of its time a lease counts for its holder: the rest is for clocks that do not run alike. */
const SHARE = 0.9;

/** Milliseconds that a lease counts, by the clock that has run further. */
export const timeLeft = (ttl: number, asked: Moment, now: Moment): number =>
  ttl * SHARE - Math.max(now.steady - asked.steady, now.wall - asked.wall);

/** Milliseconds after a renewal that has failed, at most. */
const RETRY = 500;

export interface HeldNeeds {
  /** ms */
  ttl: number;
  logger: Pick<Logger, 'warn' | 'debug'>;
  name: string;
  token: number;
  asked: Moment;
  now: () => Moment;
  renew(): Promise<boolean>;
  release(): Promise<unknown>;
  ended(): void;
}

/** One that is held: renewed until it is let go, or its time is over before it could be. */
export class HeldLease implements Lease {
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
    this.#renewSoon();
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

  get #left(): number {
    return timeLeft(this.#needs.ttl, this.#asked, this.#needs.now());
  }

  #count(): void {
    clearTimeout(this.#ends);
    this.#ends = setTimeout(() => { if (this.valid) this.#count(); }, Math.max(1, this.#left));
  }

  /** The time that an answer has taken is gone already. */
  #renewSoon(): void {
    this.#renewIn(Math.min(beatOf(this.#needs.ttl), this.#left / 2));
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
      this.#renewSoon();
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

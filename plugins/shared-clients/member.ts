import { ClusterError, fromWire } from '../../lib/runtime.js';
import { Calls, isUnsendable, refused, type Given } from './calls.js';
import { Leader } from './leader.js';
import type { Answer, Ask, Failure, Holder, Leading, Offers, Post, Published, Tell } from './messages.js';
import type { Shape } from './shape.js';
import { ATTACH, isUseless, sayAgain, turnTo } from './turning.js';
import { Wanted } from './wants.js';

/** Milliseconds between two attempts to turn to a leader, at most. */
const PAUSE = 1_000;

/** Who says who leads. */
export interface Arbiter {
  join(member: Member): Promise<Leading>;
  leave(member: Member): Promise<void>;
}

export interface MemberNeeds {
  readonly post: Post;
  readonly arbiter: Arbiter;
  warn(text: string, error?: unknown): void;
  /** Shows that the start of this process waits for that, until what it returns is called. */
  waits?(what: string): () => void;
}

/** A client that is used where it is shared no more. */
export const closed = (name: string): ClusterError =>
  new ClusterError('ERR_CLUSTER_CLIENT_CLOSED', `the shared client "${name}" is closed in this process`);

/** One process among those that share the client of a name: it follows whoever leads, and leads itself when told to. */
export class Member {
  shape: Shape;
  readonly ready: Promise<void>;
  leader: Leader | null = null;
  readonly #needs: MemberNeeds;
  readonly #calls: Calls;
  readonly #wanted = new Wanted(() => this.#needs.warn(
    `"${this.shape.name}" has published more here than is kept: another leader is told the latest alone`));
  readonly #holders = new Set<Holder>();
  #offers: Offers | null = null;
  /** Who leads, as far as is known here. */
  #term = 0;
  #announced: number | null = null;
  /** Whom calls go to: he knows all that is wanted here. */
  #link: number | null = null;
  #settled: { resolve(): void; reject(error: unknown): void } | null;
  #failure: { error: unknown } | null = null;
  #closing: Promise<void> | null = null;
  #closed = false;

  constructor(shape: Shape, needs: MemberNeeds, after: Promise<unknown> = Promise.resolve()) {
    this.shape = shape;
    this.#needs = needs;
    this.#calls = new Calls(shape.name, needs.post, (pid) => {
      if (this.#link === pid) this.#link = null;
      if (this.#announced === pid) void this.#attach(pid, this.#term);
    });
    let settled!: { resolve(): void; reject(error: unknown): void };
    this.ready = new Promise<void>((resolve, reject) => { settled = { resolve, reject }; });
    this.#settled = settled;
    // The channel does not keep a process up that starts.
    const stay = setInterval(() => {}, 60_000);
    const here = needs.waits?.(`the shared client "${shape.name}"`);
    void this.ready.catch(() => {}).finally(() => {
      clearInterval(stay);
      here?.();
    });
    after.then(() => needs.arbiter.join(this)).then((leading) => this.#joined(leading), (error: unknown) => this.#fail(error));
  }

  get leads(): boolean {
    return this.#link === this.#needs.post.pid;
  }

  /** It could not be made, or is closed. */
  get over(): boolean {
    return this.#failure !== null || this.#closing !== null;
  }

  hold(holder: Holder): void {
    this.#holders.add(holder);
    if (this.#offers) holder.offered(this.#offers);
  }

  /** It was known by its name alone, and can be made here now. */
  adopt(shape: Shape): void {
    this.shape = shape;
    this.#needs.arbiter.join(this).then((leading) => this.#joined(leading), (error: unknown) => this.#needs.warn(`"${shape.name}"`, error));
  }

  /** The last one to let go closes the client here. */
  letGo(holder: Holder): Promise<void> {
    this.#holders.delete(holder);
    if (this.#holders.size > 0) this.watch();
    return this.#holders.size > 0 ? Promise.resolve() : this.close();
  }

  call(method: string, args: unknown[], given: Given): Promise<unknown> {
    return this.#do(['call', this.shape.name, method, args, given.callback === true], given);
  }

  publish(key: string, args: unknown[]): Promise<unknown> {
    const at = Number(process.hrtime.bigint() / 1_000n);
    const published: Published = { key, at, args, again: false };
    const isStream = this.shape.topics?.get(key) === 'stream';
    const words = this.#wanted.published;
    const before = words.get(key);
    if (!isStream) words.keep(published);
    const done = this.#do(['publish', this.shape.name, published], { timeout: this.shape.timeout, idempotent: !isStream });
    done.catch((error: unknown) => { if (isUnsendable(error)) words.takeBack(published, before); });
    return done;
  }

  /** Subscribes this process, once for all who listen here; gives the last value that has come, if any has. */
  subscribe(reg: unknown): { value: unknown } | undefined {
    const key = this.shape.formatKey(reg);
    if (!this.#wanted.add(key, reg)) return this.#wanted.topic(key)?.last;
    this.#want(['subscribe', this.shape.name, key, reg]);
    return undefined;
  }

  /** One who listens here does so no more; once nobody does, the leader is told. */
  unsubscribe(key: string): void {
    if ([...this.#holders].some((holder) => holder.listens(key))) return;
    if (this.#wanted.remove(key)) this.#want(['unsubscribe', this.shape.name, key]);
  }

  /** Those who listen to events here have changed. */
  watch(): void {
    const events = [...new Set([...this.#holders].flatMap(({ watches }) => watches))].sort();
    if (this.#wanted.listen(events)) this.#want(['watch', this.shape.name, events]);
  }

  /** Makes the real client here. Resolves when it is ready. */
  async lead(members: readonly number[]): Promise<void> {
    if (this.#closed || this.#failure) throw closed(this.shape.name);
    const { post, warn } = this.#needs;
    const before = this.leader;
    const leader = new Leader({
      shape: this.shape, members, warn, tell: (pid, message) => post.tell(pid, message), room: (pid) => post.room(pid),
    });
    try {
      await leader.ready();
    } catch (error) {
      void leader.retire({ now: true });
      throw error;
    }
    this.leader = leader;
    void before?.retire();
  }

  /** An answer is heard later than what came behind it: who leads may have been told by then. */
  #joined(leading: Leading): void {
    if (leading.term !== this.#term || this.#announced === null) this.leading(leading);
  }

  /** Somebody leads, or nobody. */
  leading({ term, pid, error }: Leading): void {
    if (term < this.#term || this.#closed) return;
    this.#term = term;
    if (error && this.#settled) return this.#fail(fromWire(error as Failure & { name: string }));
    if (pid === this.#announced) return;
    this.#announced = pid;
    if (pid !== null) void this.#attach(pid, term);
  }

  /** A process has ended that led once, or that is led from here. */
  gone(pid: number): void {
    if (this.#announced === pid) this.#announced = null;
    if (this.#link === pid) this.#link = null;
    this.#calls.lost(pid);
    this.leader?.detach(pid);
  }

  /** The master is gone, and with it the way to all others. */
  cutOff(): void {
    this.gone(this.#announced ?? 0);
    this.gone(this.#link ?? 0);
  }

  told(sender: number, message: Tell): void {
    if (sender !== this.#link && sender !== this.#announced) return;
    if (message[0] === 'event') {
      for (const holder of [...this.#holders]) holder.event(message[2], message[3]);
      return;
    }
    const [, , key, sent] = message;
    const topic = this.#wanted.topic(key);
    if (!topic) return;
    const value = this.shape.transcode ? this.shape.transcode.decode(sent as Uint8Array) : sent;
    if (this.shape.broadcast && this.shape.topics?.get(key) !== 'stream') topic.last = { value };
    for (const holder of [...this.#holders]) holder.value(key, value);
  }

  asked(sender: number, message: Ask): Answer | Promise<Answer> {
    return this.leader?.asked(sender, message) ?? null;
  }

  /** What is under way is answered first; whoever leads hands over before it goes. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    await this.#calls.settled();
    const { arbiter, post } = this.#needs;
    if (this.leader === null) this.#end();
    await arbiter.leave(this).catch(() => {});
    const { leader } = this;
    // Nobody has taken it over: nobody is left who could need it.
    if (leader) await this.#retire(leader, this.#announced === post.pid);
    this.#end();
  }

  #end(): void {
    this.#closed = true;
    if (this.#link !== null && this.#link !== this.#needs.post.pid) this.#detach(this.#link);
    this.#link = null;
    this.#settled?.reject(closed(this.shape.name));
    this.#settled = null;
  }

  async #retire(leader: Leader, now: boolean): Promise<void> {
    await leader.retire({ now });
    if (this.leader === leader) this.leader = null;
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    this.#failure = { error };
    this.#settled?.reject(error);
    this.#settled = null;
    this.#calls.fail(error);
    void this.close();
  }

  #do(message: Ask & { 0: 'call' | 'publish' }, given: Given): Promise<unknown> {
    if (this.#failure) return refused(this.#failure.error);
    if (this.#closed) return refused(closed(this.shape.name));
    return this.#calls.add(message, given);
  }

  /** A change of what is wanted: told to the leader, and part of all that the next one is told. */
  #want(message: Ask): void {
    const link = this.#link;
    if (link === null || link !== this.#announced) return;
    this.#needs.post.ask(link, message, ATTACH).catch((error: unknown) => {
      if (isUnsendable(error) && message[0] === 'subscribe') this.#wanted.remove(message[2]);
      if (isUseless(error)) return this.#needs.warn(`"${this.shape.name}": ${message[0]} failed`, error);
      // It may not have come there: all is told again.
      if (link === this.#link && link === this.#announced) void this.#attach(link, this.#term);
    });
  }

  /** Turns to a leader, without end while it is one; until it knows all that is wanted here, calls go to the one before. */
  async #attach(pid: number, term: number): Promise<void> {
    const isWanted = () => this.#announced === pid && this.#term === term && !this.#closed;
    const needs = { name: this.shape.name, wanted: this.#wanted, post: this.#needs.post, warn: this.#needs.warn };
    for (let attempt = 0; isWanted(); attempt++) {
      const { changes } = this.#wanted;
      const offers = await turnTo(pid, needs).catch(() => null);
      if (!isWanted()) return this.#detach(pid);
      if (offers && changes === this.#wanted.changes) {
        this.#attached(pid, offers);
        return sayAgain(pid, needs, isWanted);
      }
      if (offers) continue;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(20 * 2 ** Math.min(attempt, 10), PAUSE)).unref());
    }
  }

  #attached(pid: number, offers: Offers): void {
    const before = this.#link;
    this.#link = pid;
    if (!this.shape.create && this.shape.calls.size === 0) {
      this.#offers = offers;
      for (const holder of this.#holders) holder.offered(offers);
    }
    this.#settled?.resolve();
    this.#settled = null;
    this.#calls.go(pid);
    if (before !== null && before !== pid) this.#detach(before);
    const { leader } = this;
    if (leader && pid !== this.#needs.post.pid) void this.#retire(leader, false);
  }

  #detach(pid: number): void {
    this.#needs.post.ask(pid, ['detach', this.shape.name], ATTACH).catch(() => {});
  }
}

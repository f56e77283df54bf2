import { EventEmitter } from 'node:events';
import { ClusterError, copyOf } from '../../lib/runtime.js';
import { refused } from './calls.js';
import type { Member } from './member.js';
import type { Holder, Offers } from './messages.js';
import { usage, type Call, type Shape } from './shape.js';

type Listener = (value: unknown) => unknown;
type Callback = (error: unknown, result?: unknown) => void;

interface Subscription {
  key: string;
  listener: Listener;
  /** Of a stream: what the listener has not taken yet. */
  queue: unknown[] | null;
  /** It is said that it is behind. */
  behind: boolean;
}

/** Values of a stream that a listener may be behind. */
const BEHIND = 1_000;

/** What users hold: the calls of the real client, its topics and its events. Its methods are plain properties, for mocks and spies. */
export class Client extends EventEmitter implements Holder {
  readonly #member: Member;
  readonly #shape: Shape;
  readonly #subscriptions: Subscription[] = [];
  readonly #warn: (text: string, error?: unknown) => void;
  #watched = '';
  #closed: Promise<void> | null = null;

  constructor(member: Member, shape: Shape, warn: (text: string, error?: unknown) => void) {
    super();
    this.setMaxListeners(0);
    this.#member = member;
    this.#shape = shape;
    this.#warn = warn;
    member.hold(this);
    for (const [name, call] of shape.calls) this.#define(name, this.#call(name, call));
    const { subscribe, unsubscribe, publish, close } = shape.methods;
    if (subscribe !== undefined) this.#defineTopics(subscribe, unsubscribe ?? 'unsubscribe');
    if (publish !== undefined) this.#define(publish, (...args: unknown[]) => this.#publish(args));
    this.#define('close', () => this.#close());
    if (close !== undefined && close !== 'close') this.#define(close, () => this.#close());
    for (const [name, value] of shape.overrides) this.#define(name, value);
    if (shape.allEvents) member.watch();
  }

  /** What cluster-client's base class closes a client by. */
  [Symbol.for('ClusterClient#close')](): Promise<void> {
    return this.#close();
  }

  /** As cluster-client calls it: the real client is in this process. */
  get isClusterClientLeader(): boolean {
    return this.#member.leads;
  }

  /** Resolves, or calls back, when the real client is ready, with its error where it cannot be made. */
  ready(): Promise<void>;
  ready(callback: (error?: unknown) => void): void;
  ready(callback?: (error?: unknown) => void): Promise<void> | void {
    const { ready } = this.#member;
    if (typeof callback !== 'function') return ready;
    const later = (error?: unknown): void => void process.nextTick(callback, error);
    ready.then(() => later(), later);
  }

  override on(event: string | symbol, listener: (...args: unknown[]) => void): this { return this.#watching(super.on(event, listener)); }
  override addListener(event: string | symbol, listener: (...args: unknown[]) => void): this { return this.on(event, listener); }
  override prependListener(event: string | symbol, listener: (...args: unknown[]) => void): this {
    return this.#watching(super.prependListener(event, listener));
  }
  override removeListener(event: string | symbol, listener: (...args: unknown[]) => void): this {
    return this.#watching(super.removeListener(event, listener));
  }
  override off(event: string | symbol, listener: (...args: unknown[]) => void): this { return this.removeListener(event, listener); }
  override removeAllListeners(event?: string | symbol): this {
    return this.#watching(event === undefined ? super.removeAllListeners() : super.removeAllListeners(event));
  }

  /** Names of the events that somebody listens to here. */
  get watches(): string[] {
    return this.#shape.allEvents ? ['*'] : this.eventNames().filter((name) => typeof name === 'string');
  }

  value(key: string, value: unknown): void {
    const all = this.#subscriptions.filter((one) => one.key === key);
    const told = this.#shape.broadcast ? all : all.slice(Math.floor(Math.random() * all.length)).slice(0, 1);
    for (const one of told) this.#tell(one, value);
  }

  event(event: string, args: unknown[]): void {
    if (event !== 'error' || this.listenerCount('error') > 0) this.emit(event, ...args.map(copyOf));
  }

  offered({ calls, topics, publishes }: Offers): void {
    for (const name of calls) if (!Object.hasOwn(this, name)) this.#define(name, this.#call(name, {}));
    if (topics) this.#defineTopics('subscribe', 'unsubscribe');
    if (publishes) this.#define('publish', (...args: unknown[]) => this.#publish(args));
  }

  #define(name: string, value: unknown): void {
    Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
  }

  #defineTopics(subscribe: string, unsubscribe: string): void {
    const off = (reg: unknown, listener: unknown) => { this.#unsubscribe(reg, listener as Listener | undefined); };
    this.#define(subscribe, (reg: unknown, listener: unknown) => { this.#subscribe(reg, listener); });
    for (const name of new Set([unsubscribe, 'unsubscribe', 'unSubscribe'])) this.#define(name, off);
  }

  #call(name: string, call: Call): (...args: unknown[]) => unknown {
    const { timeout = this.#shape.timeout, idempotent = false } = call;
    const plain = { timeout, idempotent, callback: false };
    const calledBack = { timeout, idempotent, callback: true };
    return (...args) => {
      const callback = typeof args[args.length - 1] === 'function' ? args.pop() as Callback : undefined;
      const asked = this.#assertOpen() ?? this.#member.call(name, this.#sent(args), callback ? calledBack : plain);
      const done = this.#shape.transcode ? asked.then((value) => this.#received(value)) : asked;
      if (call.oneway) return void done.catch((error: unknown) => this.#warn(`${this.#shape.name}.${name}`, error));
      if (callback === undefined) return done;
      // Out of the promise, so that what a callback throws is an uncaught exception and no silent rejection.
      done.then((value) => process.nextTick(callback, null, value), (error: unknown) => process.nextTick(callback, error));
    };
  }

  /** Need not be awaited: what goes wrong is in the log of whoever leads as well. */
  #publish(args: unknown[]): Promise<unknown> {
    const key = this.#shape.formatKey(args[0]);
    const done = this.#assertOpen() ?? this.#assertTopic(key) ?? this.#member.publish(key, this.#sent(args));
    done.catch(() => {});
    return done;
  }

  #subscribe(reg: unknown, listener: unknown): void {
    if (typeof listener !== 'function') throw usage(`"${this.#shape.name}".subscribe expects a key and a function`);
    const key = this.#shape.formatKey(reg);
    if (this.#shape.topics?.has(key) === false) throw this.#noTopic(key);
    const queue = this.#shape.topics?.get(key) === 'stream' ? [] : null;
    const one: Subscription = { key, listener: listener as Listener, queue, behind: false };
    this.#subscriptions.push(one);
    const last = this.#member.subscribe(reg);
    if (last) process.nextTick(() => { if (this.#subscriptions.includes(one)) this.#tell(one, last.value); });
  }

  /** Without a listener all of the key. */
  #unsubscribe(reg: unknown, listener?: Listener): void {
    const key = this.#shape.formatKey(reg);
    let left = false;
    for (const [at, one] of [...this.#subscriptions.entries()].reverse()) {
      if (one.key !== key || (listener && one.listener !== listener)) continue;
      this.#subscriptions.splice(at, 1);
      left = true;
      if (listener) break;
    }
    if (left) this.#member.unsubscribe(key);
  }

  /** Somebody listens to this key here. */
  listens(key: string): boolean {
    return this.#subscriptions.some((one) => one.key === key);
  }

  /** Each listener has a value of its own: what one of them does to it the next one does not see. */
  #tell(one: Subscription, value: unknown): void {
    if (!one.queue) return void this.#give(one, value);
    one.queue.push(value);
    if (one.queue.length > BEHIND) {
      // The first one is with the listener.
      one.queue.splice(1, 1);
      if (!one.behind) {
        this.#warn(`a listener of "${this.#shape.name}" is more than ${BEHIND} values of "${one.key}" behind: the oldest are dropped`);
      }
      one.behind = true;
    }
    if (one.queue.length === 1) void this.#drain(one, one.queue);
  }

  /** Values of a stream one after the other: a listener that gives a promise has the next one when that is settled. */
  async #drain(one: Subscription, queue: unknown[]): Promise<void> {
    for (; queue.length > 0 && this.#subscriptions.includes(one); queue.shift()) {
      const pending = this.#give(one, queue[0]);
      // Its rejection is the process's to hear of, as that of any listener; the next value comes all the same.
      if (pending) await new Promise<void>((resolve) => void pending.then(() => resolve(), (error: unknown) => {
        resolve();
        void Promise.reject(error as Error);
      }));
    }
    one.behind = false;
  }

  /** What a listener throws is for the process, as in any event, and keeps no other listener from its value. */
  #give({ listener }: Subscription, value: unknown): PromiseLike<unknown> | undefined {
    try {
      const pending = listener(copyOf(value));
      return typeof (pending as PromiseLike<unknown> | undefined)?.then === 'function' ? pending as PromiseLike<unknown> : undefined;
    } catch (error) {
      process.nextTick(() => { throw error; });
      return undefined;
    }
  }

  #watching(self: this): this {
    const names = this.watches.sort().join('\n');
    if (names !== this.#watched) {
      this.#watched = names;
      this.#member.watch();
    }
    return self;
  }

  async #close(): Promise<void> {
    this.#closed ??= (async () => {
      for (const { key } of this.#subscriptions.splice(0)) this.#member.unsubscribe(key);
      this.#watched = '';
      await this.#member.letGo(this);
      this.emit('close');
    })();
    return this.#closed;
  }

  #assertOpen(): Promise<never> | null {
    if (!this.#closed) return null;
    return refused(new ClusterError('ERR_CLUSTER_CLIENT_CLOSED', `this client of "${this.#shape.name}" was closed`));
  }

  #assertTopic(key: string): Promise<never> | null {
    return this.#shape.topics?.has(key) === false ? refused(this.#noTopic(key)) : null;
  }

  #noTopic(key: string): ClusterError {
    const known = [...this.#shape.topics?.keys() ?? []].join(', ');
    return new ClusterError('ERR_CLUSTER_NOT_SHARED',
      `the shared client "${this.#shape.name}" has no topic "${key}"${known && `; it has ${known}`}`);
  }

  #sent(args: unknown[]): unknown[] {
    const { transcode } = this.#shape;
    return transcode ? args.map((one) => transcode.encode(one)) : args;
  }

  #received(value: unknown): unknown {
    const { transcode } = this.#shape;
    return transcode ? transcode.decode(value as Uint8Array) : value;
  }
}

import { ClusterError } from '../../lib/runtime.js';
import { callOf, closeOf, readyOf } from './call-forms.js';
import type { Answer, Ask, Offers, Published, Tell, Wants } from './messages.js';
import { Publishing } from './published.js';
import type { Shape } from './shape.js';
import { Telling } from './telling.js';

/** Milliseconds that a leader which leads no more goes on for those who have not turned to the next one yet. */
const STAYS = 10_000;

interface Topic {
  reg: unknown;
  subscribers: Set<number>;
  /** What the real client was given. */
  listener: (value: unknown) => void;
  last?: { value: unknown };
}

export interface LeaderNeeds {
  readonly shape: Shape;
  /** Who shares the client as it is made. */
  readonly members: readonly number[];
  tell(pid: number, message: Tell): boolean;
  room(pid: number): Promise<void>;
  warn(text: string, error?: unknown): void;
}

type Method = (...args: unknown[]) => unknown;
type Client = Record<string, unknown> & { emit?: unknown; on?: unknown; listenerCount?: unknown };

/** The real client, and what others want of it; they are told apart by their pid, this process too. */
export class Leader {
  readonly #needs: LeaderNeeds;
  readonly #shape: Shape;
  readonly #client: Client;
  /** Each with the events that it listens to. */
  readonly #followers = new Map<number, ReadonlySet<string>>();
  readonly #topics = new Map<string, Topic>();
  readonly #publishing: Publishing;
  readonly #telling: Telling;
  #running = 0;
  #changed = () => {};
  #retired: Promise<void> | null = null;

  /** @throws what the class throws */
  constructor(needs: LeaderNeeds) {
    this.#needs = needs;
    this.#shape = needs.shape;
    this.#publishing = new Publishing((args) => this.#say(args), needs.members);
    this.#telling = new Telling({
      name: needs.shape.name,
      tell: needs.tell,
      room: needs.room,
      warn: needs.warn,
      lastOf: (pid, key) => {
        const topic = this.#topics.get(key);
        return topic?.subscribers.has(pid) ? topic.last : undefined;
      },
    });
    this.#client = (needs.shape.create as () => object)() as Client;
    this.#passEventsOn();
  }

  /** Resolves when the real client is ready, rejects with its own error. */
  async ready(): Promise<void> {
    await readyOf(this.#client);
    this.#publishing.begin();
  }

  get offers(): Offers {
    const { calls, methods } = this.#shape;
    return { calls: [...calls.keys()], topics: methods.subscribe !== undefined, publishes: methods.publish !== undefined };
  }

  /** @throws what the real client throws, and ClusterError ERR_CLUSTER_NOT_SHARED */
  asked(sender: number, message: Ask): Answer | Promise<Answer> {
    switch (message[0]) {
      case 'attach': return [this.attach(sender, message[2])];
      case 'call': return this.call(message[2], message[3], message[4]);
      case 'publish': return this.publish(message[2]);
      case 'subscribe': return this.subscribe(sender, message[2], message[3]), [];
      case 'unsubscribe': return this.unsubscribe(sender, message[2]), [];
      case 'watch': return this.watch(sender, message[2]), [];
      case 'told': return this.#publishing.heard(sender), [];
      case 'detach': return this.detach(sender), [];
    }
  }

  attach(pid: number, { topics, events }: Wants): Offers {
    const wanted = new Set(topics);
    for (const [key, topic] of this.#topics) if (topic.subscribers.has(pid) && !wanted.has(key)) this.unsubscribe(pid, key);
    this.#followers.set(pid, new Set(events));
    return this.offers;
  }

  /** Of a process that turned to another leader, or has ended. */
  detach(pid: number): void {
    for (const [key, { subscribers }] of this.#topics) if (subscribers.has(pid)) this.unsubscribe(pid, key);
    this.#followers.delete(pid);
    this.#telling.forget(pid);
    this.#publishing.heard(pid);
    this.#changed();
  }

  watch(pid: number, events: readonly string[]): void {
    if (this.#followers.has(pid)) this.#followers.set(pid, new Set(events));
  }

  /** @throws ClusterError ERR_CLUSTER_NOT_SHARED */
  call(method: string, args: unknown[], callback: boolean): Answer | Promise<Answer> {
    const call = this.#shape.calls.get(method);
    const target = this.#client[method];
    if (!call || typeof target !== 'function') {
      throw new ClusterError('ERR_CLUSTER_NOT_SHARED', `the shared client "${this.#shape.name}" has no call "${method}"`);
    }
    const form = { callback, mayWantOne: call.callback === true };
    const done = this.#run(() => callOf(this.#client, target as Method, this.#received(args), form));
    if (!call.oneway) return done;
    done.catch((error: unknown) => this.#fault(method, error));
    return [];
  }

  publish(published: Published): Promise<Answer> {
    const done = this.#publishing.add(published);
    done.catch((error: unknown) => this.#fault('publish', error));
    return done;
  }

  /** @throws ClusterError ERR_CLUSTER_NOT_SHARED */
  subscribe(pid: number, key: string, reg: unknown): void {
    const { methods, broadcast, topics } = this.#shape;
    if (methods.subscribe === undefined || topics?.has(key) === false) {
      throw new ClusterError('ERR_CLUSTER_NOT_SHARED', `the shared client "${this.#shape.name}" has no topic "${key}"`);
    }
    const known = this.#topics.get(key);
    if (known) {
      if (known.subscribers.has(pid)) return;
      known.subscribers.add(pid);
      if (known.last && broadcast) this.#telling.last(pid, key, known.last.value);
      return;
    }
    const topic: Topic = { reg, subscribers: new Set([pid]), listener: (value) => this.#value(key, topic, value) };
    this.#topics.set(key, topic);
    this.#do(methods.subscribe, reg, topic.listener);
  }

  unsubscribe(pid: number, key: string): void {
    const topic = this.#topics.get(key);
    if (!topic?.subscribers.delete(pid) || topic.subscribers.size > 0) return;
    this.#topics.delete(key);
    const { unsubscribe } = this.#shape.methods;
    if (unsubscribe !== undefined) this.#do(unsubscribe, topic.reg, topic.listener);
  }

  /** Closes the real client once nobody needs it any more: all have turned to the next leader, what is under way is done. */
  retire({ now = false } = {}): Promise<void> {
    return this.#retired ??= this.#retire(now);
  }

  async #retire(now: boolean): Promise<void> {
    this.#publishing.open();
    const isFree = () => this.#running === 0 && (now || this.#followers.size === 0);
    if (!isFree()) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, STAYS);
        this.#changed = () => {
          if (!isFree()) return;
          clearTimeout(timer);
          resolve();
        };
      });
    }
    // What was answered last is on its way a turn later.
    await new Promise((resolve) => { setImmediate(resolve); });
    try {
      await closeOf(this.#client, this.#shape.methods.close);
    } catch (error) {
      this.#needs.warn(`the client "${this.#shape.name}" failed to close`, error);
    }
  }

  #run(task: () => Promise<unknown>): Promise<Answer> {
    const done = task();
    this.#running++;
    return done.then(this.#done, this.#undone);
  }

  readonly #done = (value: unknown): Answer => {
    this.#ended();
    return [this.#sent(value)];
  };

  readonly #undone = (error: unknown): never => {
    this.#ended();
    throw error;
  };

  #ended(): void {
    this.#running--;
    this.#changed();
  }

  async #say(args: unknown[]): Promise<Answer> {
    const { methods: { publish }, name } = this.#shape;
    if (publish === undefined) throw new ClusterError('ERR_CLUSTER_NOT_SHARED', `the shared client "${name}" publishes nothing`);
    const method = this.#client[publish] as Method;
    return this.#run(() => callOf(this.#client, method, this.#received(args), {}));
  }

  #received(args: unknown[]): unknown[] {
    const { transcode } = this.#shape;
    return transcode ? args.map((one) => transcode.decode(one as Uint8Array)) : args;
  }

  #sent(value: unknown): unknown {
    const { transcode } = this.#shape;
    return transcode ? transcode.encode(value) : value;
  }

  #value(key: string, topic: Topic, value: unknown): void {
    const { broadcast } = this.#shape;
    if (this.#topics.get(key) !== topic) return;
    const keeps = broadcast && this.#keeps(key);
    try {
      const told = this.#sent(value);
      const all = [...topic.subscribers];
      const receivers = broadcast ? all : all.slice(Math.floor(Math.random() * all.length)).slice(0, 1);
      for (const pid of receivers) this.#telling.value(pid, key, told, keeps);
      if (keeps) topic.last = { value: told };
    } catch (error) {
      this.#fault(`the topic ${key}`, error);
    }
  }

  #keeps(key: string): boolean {
    return this.#shape.topics?.get(key) !== 'stream';
  }

  /** Of a real client that is an EventEmitter; one that nobody listens to here must not end this process by its 'error'. */
  #passEventsOn(): void {
    const client = this.#client;
    const { emit, on } = client;
    if (typeof emit !== 'function' || typeof on !== 'function') return;
    on.call(client, 'error', () => {});
    client.emit = (event: unknown, ...args: unknown[]): unknown => {
      const result: unknown = emit.call(client, event, ...args);
      if (typeof event === 'string') this.#event(event, args);
      return result;
    };
  }

  #event(event: string, args: unknown[]): void {
    let heard = false;
    for (const [pid, events] of this.#followers) {
      if (!events.has(event) && !(events.has('*') && !INTERNAL.has(event))) continue;
      heard = true;
      try {
        this.#telling.event(pid, event, args);
      } catch (error) {
        this.#needs.warn(`the event "${event}" of the client "${this.#shape.name}" cannot be sent`, error);
      }
    }
    if (event === 'error' && !heard) this.#needs.warn(`the client "${this.#shape.name}"`, args[0]);
  }

  /** Of the real client, for nobody who waits. */
  #do(method: string, ...args: unknown[]): void {
    void callOf(this.#client, this.#client[method] as Method, args, {}).catch((error: unknown) => this.#fault(method, error));
  }

  #fault(what: string, error: unknown): void {
    this.#needs.warn(`${what} of the client "${this.#shape.name}" failed`, error);
  }
}

/** What an EventEmitter says of its own listeners. */
const INTERNAL: ReadonlySet<string> = new Set(['newListener', 'removeListener']);

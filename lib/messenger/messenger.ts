import type {
  AnswerOf, BroadcastOptions, CarryBroadcasts, Listener, MessageData, MessageOptions, Messenger, RequestOptions, Target,
} from '../api/messenger.js';
import type { Envelope } from '../ipc/messages.js';
import { ClusterError, wire, wireWhole } from '../kit/errors.js';
import { owned } from '../kit/faults.js';
import { Asked, type Asking } from './asked.js';
import { address, carried, checkMessage, nextId, refused, replyTo } from './router.js';

/** Milliseconds a request waits for its answer, unless told. */
export const REQUEST_TIMEOUT = 5_000;

/** setTimeout's limit, ms: it makes 1 ms of more, and of what is no number. */
const LONGEST = 2 ** 31 - 1;

/** Messages that are kept for listeners to come while a process starts, and their bytes. */
const KEPT = 10_000;
const KEPT_BYTES = 16 * 1024 * 1024;

/** Where the envelopes of a messenger go. */
export interface Way {
  /** False: who sends should wait until `drained`. */
  send(envelope: Envelope): unknown;
  /** Nobody waits for the answer to this request any more. */
  forget?(request: number): void;
  drained?(pid?: number): Promise<void>;
  /** What came for this process while it started, and is not kept. */
  dropped?(envelope: Envelope): void;
}

/** How an envelope has come. */
export interface Delivery {
  /** What listeners throw on a plain message goes there, or is thrown here. */
  fault?: (error: unknown) => void;
  /** The way back for the answer to a request; else that is sent as any other. */
  answer?: (answer: Envelope) => void;
  bytes?: number;
}

/** As it was given, and as it is called. */
interface Registered {
  listener: Listener<string>;
  call: Listener<string>;
  once: boolean;
}

/** The messenger of this process; where its envelopes go is for its way to say. */
export class ProcessMessenger implements Messenger {
  readonly #way: Way;
  readonly #hasAgent: () => boolean;
  readonly #listeners = new Map<string, readonly Registered[]>();
  readonly #asked: Asked;
  /** Takes broadcasts with a scope on to other hosts. */
  carry: CarryBroadcasts | null = null;
  /** What came before there was anybody to hear it; null once this process is ready. */
  #early: [Envelope, Delivery][] | null = null;
  #earlyBytes = 0;

  /** `hasAgent`: an agent is configured. */
  constructor(way: Way | Way['send'], hasAgent: () => boolean = () => true) {
    this.#way = typeof way === 'function' ? { send: way } : way;
    this.#asked = new Asked((request) => this.#way.forget?.(request));
    this.#hasAgent = hasAgent;
  }

  /** Until `started`, what nobody listens to yet is kept, in order. */
  starting(): void {
    this.#early = [];
  }

  /** Whoever was to listen does by now. */
  started(): void {
    const early = this.#early ?? [];
    this.#early = null;
    for (const [envelope, delivery] of early) void this.receive(envelope, delivery);
  }

  broadcast<A extends string>(action: A, data?: MessageData<A>, options?: BroadcastOptions): boolean {
    const envelope: Envelope = { action, data, id: nextId(), to: this.#hasAgent() ? 'all' : 'app' };
    // First, as it throws what cannot be sent.
    const goesOn = options?.scope === undefined || carried(envelope, options, this.carry);
    return this.#post(envelope, options) && goesOn;
  }

  sendTo<A extends string>(target: Target, action: A, data?: MessageData<A>, options?: MessageOptions): boolean {
    return this.#post({ action, data, ...address(target) }, options);
  }

  sendRandom<A extends string>(action: A, data?: MessageData<A>, options?: MessageOptions): boolean {
    return this.#post({ action, data, to: 'app', receiverPid: 'random' }, options);
  }

  sendToApp<A extends string>(action: A, data?: MessageData<A>, options?: MessageOptions): boolean {
    return this.#post({ action, data, to: 'app' }, options);
  }

  sendToAgent<A extends string>(action: A, data?: MessageData<A>, options?: MessageOptions): boolean {
    return this.#post({ action, data, to: 'agent' }, options);
  }

  async drained(pid?: number): Promise<void> {
    await this.#way.drained?.(pid);
  }

  request<A extends string, Answer = AnswerOf<A>>(
    target: Target, action: A, data?: MessageData<A>, options?: RequestOptions,
  ): Promise<Answer> {
    return new Promise<unknown>((resolve, reject) => {
      const { timeout = REQUEST_TIMEOUT, signal } = options ?? {};
      if (!(timeout >= 0 && timeout <= LONGEST)) throw refused('request', `milliseconds from 0 to ${LONGEST} as its timeout`, timeout);
      const { to, receiverPid } = address(target);
      const receiver = to === 'app' && receiverPid === undefined ? 'random' : receiverPid;
      this.#ask(to, receiver, { action, data, timeout, resolve, reject, signal }, options);
    }) as Promise<Answer>;
  }

  /** A request of one process without a promise. */
  ask(pid: number, asking: Asking): void {
    this.#ask(undefined, pid, asking);
  }

  on<A extends string>(action: A, listener: Listener<A>): this {
    return this.#register('on', action, listener as Listener<string>);
  }

  once<A extends string>(action: A, listener: Listener<A>): this {
    return this.#register('once', action, listener as Listener<string>);
  }

  off<A extends string>(action: A, listener: Listener<A>): this {
    const one = this.#listeners.get(action)?.findLast((known) => known.listener === listener);
    if (one) this.#unregister(action, one);
    return this;
  }

  /** Takes an envelope that is for this process. A promise: listeners are not done with it. */
  receive(envelope: Envelope, delivery: Delivery = {}): Promise<unknown> | void {
    if (envelope.reply !== undefined) return this.#asked.answered(envelope, envelope.reply);
    const listeners = this.#listeners.get(envelope.action);
    if (this.#early && this.#mustWait(envelope, listeners)) return this.#keep(envelope, delivery);
    const first = listeners?.[0];
    if (envelope.request !== undefined) return this.#answer(envelope, first?.call, delivery);
    if (!listeners || !first) return;
    if (listeners.length === 1) return tell(first.call, envelope, delivery.fault);
    const results = listeners.flatMap(({ call }) => tell(call, envelope, delivery.fault) ?? []);
    if (results.length > 0) return Promise.allSettled(results);
  }

  #register(call: 'on' | 'once', action: string, listener: Listener<string>): this {
    if (typeof action !== 'string') throw refused(call, 'a text as the action', action);
    if (typeof listener !== 'function') throw refused(`${call}("${action}")`, 'a function', listener);
    const all = this.#listeners.get(action) ?? [];
    if (call === 'on' && all.some((known) => known.listener === listener && !known.once)) return this;
    const one: Registered = { listener, call: owned(listener), once: call === 'once' };
    if (one.once) {
      one.call = owned((data, envelope) => {
        this.#unregister(action, one);
        return listener(data, envelope);
      });
    }
    this.#listeners.set(action, [...all, one]);
    if (this.#early?.some(([envelope]) => envelope.action === action)) process.nextTick(() => this.#hearEarly(action));
    return this;
  }

  #unregister(action: string, one: Registered): void {
    const others = this.#listeners.get(action)?.filter((known) => known !== one) ?? [];
    if (others.length > 0) this.#listeners.set(action, others);
    else this.#listeners.delete(action);
  }

  #ask(to: string | undefined, receiver: Envelope['receiverPid'], asking: Asking, options?: MessageOptions): void {
    const request = this.#asked.add(asking);
    const envelope: Envelope = { action: asking.action, data: asking.data, request, to };
    if (receiver !== undefined) envelope.receiverPid = receiver;
    try {
      this.#post(envelope, options);
    } catch (error) {
      // A turn later: who asks again at once, as long as this goes on, still lets other things happen.
      setImmediate(() => this.#asked.giveUp(request, error));
    }
  }

  #post(envelope: Envelope, options?: MessageOptions): boolean {
    const meta = options?.meta;
    checkMessage(envelope.action, meta);
    if (envelope.to === 'agent' && !this.#hasAgent()) {
      throw new ClusterError('ERR_CLUSTER_NO_AGENT', `"${envelope.action}" is for the agent, and there is none: `
        + 'set `agent: true` in the configuration, or add an agent module');
    }
    envelope.id ??= nextId();
    if (meta !== undefined) envelope.meta = meta;
    return this.#way.send(envelope) !== false;
  }

  #answer(envelope: Envelope, listener: Listener<string> | undefined, delivery: Delivery): Promise<unknown> | void {
    try {
      if (!listener) throw new ClusterError('ERR_CLUSTER_NO_HANDLER', `nobody listens to "${envelope.action}" in process ${process.pid}`);
      const result = listener(envelope.data, envelope);
      if (!isThenable(result)) return this.#reply(envelope, delivery, result);
      const promise = result instanceof Promise ? result : Promise.resolve(result);
      return promise.then((data) => this.#reply(envelope, delivery, data), (error: unknown) => this.#refuse(envelope, delivery, error));
    } catch (error) {
      this.#refuse(envelope, delivery, error);
    }
  }

  #reply(envelope: Envelope, { answer }: Delivery, data: unknown): void {
    const reply: Envelope = { action: envelope.action, reply: envelope.request, data };
    try {
      if (answer) answer(reply);
      else this.#way.send({ ...reply, ...replyTo(envelope) });
    } catch (error) {
      this.#refuse(envelope, { answer }, error);
    }
  }

  #refuse(envelope: Envelope, { answer }: Delivery, error: unknown): void {
    const send = answer ?? ((one: Envelope) => { this.#way.send({ ...one, ...replyTo(envelope) }); });
    const reply: Envelope = { action: envelope.action, reply: envelope.request };
    try {
      send({ ...reply, error: wireWhole(error) });
    } catch {
      // Its fields cannot be sent.
      send({ ...reply, error: wire(error) });
    }
  }

  /** Nobody listens to it yet, or others of its kind wait before it. */
  #mustWait({ action }: Envelope, listeners: readonly unknown[] | undefined): boolean {
    return !listeners?.length || this.#early!.some(([envelope]) => envelope.action === action);
  }

  #keep(envelope: Envelope, delivery: Delivery): void {
    const { bytes = 0 } = delivery;
    if (this.#early!.length >= KEPT || this.#earlyBytes + bytes > KEPT_BYTES) {
      this.#way.dropped?.(envelope);
      if (envelope.request !== undefined) void this.#answer(envelope, undefined, delivery);
      return;
    }
    this.#early!.push([envelope, delivery]);
    this.#earlyBytes += bytes;
  }

  #hearEarly(action: string): void {
    const early = this.#early?.filter(([envelope]) => envelope.action === action) ?? [];
    this.#early = this.#early?.filter(([envelope]) => envelope.action !== action) ?? null;
    for (const [envelope, delivery] of early) void this.receive(envelope, delivery);
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';

function tell(listener: Listener<string>, envelope: Envelope, fault?: (error: unknown) => void): Promise<unknown> | void {
  try {
    const result: unknown = listener(envelope.data, envelope);
    if (!(result instanceof Promise)) return;
    if (fault) result.catch(fault);
    return result;
  } catch (error) {
    if (!fault) throw error;
    fault(error);
  }
}

import { inspect } from 'node:util';
import type { AnswerOf, Listener, MessageData, MessageOptions, Messenger, RequestOptions, Target } from '../api/messenger.js';
import type { Envelope } from '../ipc/messages.js';
import { ClusterError, fromWire, wire, wireWhole } from '../kit/errors.js';
import { owned } from '../kit/faults.js';
import { show } from '../kit/misuse.js';

/** Milliseconds a request waits for its answer, unless told. */
export const REQUEST_TIMEOUT = 5_000;

/** setTimeout's limit, ms: it makes 1 ms of more, and of what is no number. */
const LONGEST = 2 ** 31 - 1;

const refused = (call: string, expected: string, found: unknown) =>
  new ClusterError('ERR_CLUSTER_USAGE', `messenger.${call}: expected ${expected}, found ${show(found)}`);

const prefix = [process.pid, Date.now(), Math.floor(Math.random() * 36 ** 4)].map((part) => `${part.toString(36)}.`).join('');
let serial = 0;
/** Of a message that begins in this process: no two have the same, in whichever processes of whichever hosts, but by chance. */
export const nextId = (): string => prefix + (++serial).toString(36);

/** Messages that are kept for listeners to come while a process starts, and their bytes. */
const KEPT = 10_000;
const KEPT_BYTES = 16 * 1024 * 1024;

/** Where the envelopes of a messenger go. */
export interface Way {
  /** False: who sends should wait until `drained`. */
  send(envelope: Envelope): unknown;
  /** Nobody waits for the answer to this request any more. */
  forget?(request: number): void;
  drained?(): Promise<void>;
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

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
  timer: NodeJS.Timeout;
}

/** The messenger of this process; where its envelopes go is for its way to say. */
export class ProcessMessenger implements Messenger {
  readonly #way: Way;
  readonly #hasAgent: () => boolean;
  /** As they were given, and as they are called. */
  readonly #listeners = new Map<string, Map<Listener<string>, Listener<string>>>();
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;
  /** What came before there was anybody to hear it; null once this process is ready. */
  #early: [Envelope, Delivery][] | null = null;
  #earlyBytes = 0;

  /** `hasAgent`: an agent is configured. */
  constructor(way: Way | Way['send'], hasAgent: () => boolean = () => true) {
    this.#way = typeof way === 'function' ? { send: way } : way;
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

  broadcast<A extends string>(action: A, data?: MessageData<A>, options?: MessageOptions): boolean {
    return this.#post({ action, data, to: this.#hasAgent() ? 'all' : 'app' }, options);
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

  async drained(): Promise<void> {
    await this.#way.drained?.();
  }

  request<A extends string, Answer = AnswerOf<A>>(
    target: Target, action: A, data?: MessageData<A>, { timeout = REQUEST_TIMEOUT, signal, meta }: RequestOptions = {},
  ): Promise<Answer> {
    return new Promise<unknown>((resolve, reject) => {
      if (!(timeout >= 0 && timeout <= LONGEST)) throw refused('request', `milliseconds from 0 to ${LONGEST} as its timeout`, timeout);
      signal?.throwIfAborted();
      const to = address(target);
      const request = this.#next++;
      const timer = setTimeout(() => {
        this.#giveUp(request,
          new ClusterError('ERR_CLUSTER_REQUEST_TIMEOUT', `request "${action}" was not answered within ${timeout} ms`));
      }, timeout);
      this.#waiting.set(request, signal ? this.#abortable(request, signal, { resolve, reject, timer }) : { resolve, reject, timer });
      try {
        const receiver = to.to === 'app' && to.receiverPid === undefined ? 'random' : to.receiverPid;
        this.#post({ action, data, request, to: to.to, ...(receiver === undefined ? {} : { receiverPid: receiver }) }, meta && { meta });
      } catch (error) {
        this.#giveUp(request, error);
      }
    }) as Promise<Answer>;
  }

  on<A extends string>(action: A, listener: Listener<A>): this {
    if (typeof listener !== 'function') throw refused(`on("${action}")`, 'a function', listener);
    const all = this.#listeners.get(action) ?? new Map<Listener<string>, Listener<string>>();
    all.set(listener as Listener<string>, owned(listener as Listener<string>));
    this.#listeners.set(action, all);
    if (this.#early?.some(([envelope]) => envelope.action === action)) process.nextTick(() => this.#hearEarly(action));
    return this;
  }

  once<A extends string>(action: A, listener: Listener<A>): this {
    if (typeof listener !== 'function') throw refused(`once("${action}")`, 'a function', listener);
    const wrapper: Listener<A> = (data, envelope) => {
      this.off(action, wrapper);
      return listener(data, envelope);
    };
    return this.on(action, wrapper);
  }

  off<A extends string>(action: A, listener: Listener<A>): this {
    this.#listeners.get(action)?.delete(listener as Listener<string>);
    return this;
  }

  /** Takes an envelope that is for this process. A promise: listeners are not done with it. */
  receive(envelope: Envelope, delivery: Delivery = {}): Promise<unknown> | void {
    if (envelope.reply !== undefined) return this.#answered(envelope, envelope.reply);
    const listeners = this.#listeners.get(envelope.action);
    if (this.#early && this.#mustWait(envelope, listeners)) return this.#keep(envelope, delivery);
    const [first, ...others] = listeners?.values() ?? [];
    if (envelope.request !== undefined) return this.#answer(envelope, first, delivery);
    if (!first) return;
    if (others.length === 0) return tell(first, envelope, delivery.fault);
    const results = [first, ...others].flatMap((listener) => tell(listener, envelope, delivery.fault) ?? []);
    if (results.length > 0) return Promise.allSettled(results);
  }

  #post(envelope: Envelope, { meta }: MessageOptions = {}): boolean {
    if (envelope.to === 'agent' && !this.#hasAgent()) {
      throw new ClusterError('ERR_CLUSTER_NO_AGENT', `"${envelope.action}" is for the agent, and there is none: `
        + 'set `agent: true` in the configuration, or add an agent module');
    }
    return this.#way.send({ ...envelope, id: nextId(), ...(meta === undefined ? {} : { meta }) }) !== false;
  }

  #abortable(request: number, signal: AbortSignal, { resolve, reject, timer }: Waiting): Waiting {
    const aborted = () => this.#giveUp(request, signal.reason);
    signal.addEventListener('abort', aborted, { once: true });
    const done = <T>(then: (value: T) => void) => (value: T) => {
      signal.removeEventListener('abort', aborted);
      then(value);
    };
    return { resolve: done(resolve), reject: done(reject), timer };
  }

  #giveUp(request: number, error: unknown): void {
    this.#way.forget?.(request);
    this.#take(request)?.reject(error);
  }

  #take(request: number): Waiting | undefined {
    const waiting = this.#waiting.get(request);
    if (!waiting) return undefined;
    this.#waiting.delete(request);
    clearTimeout(waiting.timer);
    return waiting;
  }

  #answered({ data, error }: Envelope, request: number): void {
    const waiting = this.#take(request);
    if (error) waiting?.reject(fromWire(error));
    else waiting?.resolve(data);
  }

  #answer(envelope: Envelope, listener: Listener<string> | undefined, { answer }: Delivery): Promise<unknown> | void {
    const back: Envelope = { action: envelope.action, reply: envelope.request, ...replyTo(envelope) };
    const send = answer ?? ((one: Envelope) => { this.#way.send(one); });
    const failed = (error: unknown): void => {
      try {
        send({ ...back, error: wireWhole(error) });
      } catch {
        // Its fields cannot be sent.
        send({ ...back, error: wire(error) });
      }
    };
    const answered = (data: unknown): void => {
      try {
        send({ ...back, data });
      } catch (error) {
        failed(error);
      }
    };
    try {
      if (!listener) throw new ClusterError('ERR_CLUSTER_NO_HANDLER', `nobody listens to "${envelope.action}" in process ${process.pid}`);
      const result = listener(envelope.data, envelope);
      if (isThenable(result)) return Promise.resolve(result).then(answered, failed);
      answered(result);
    } catch (error) {
      failed(error);
    }
  }

  /** Nobody listens to it yet, or others of its kind wait before it. */
  #mustWait({ action }: Envelope, listeners: ReadonlyMap<unknown, unknown> | undefined): boolean {
    return !listeners?.size || this.#early!.some(([envelope]) => envelope.action === action);
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

/** Where an answer goes: back to the process that asked. */
export function replyTo(envelope: Envelope): Pick<Envelope, 'to' | 'receiverPid'> {
  return envelope.from === 'master' || envelope.from === 'parent' ? { to: envelope.from } : { receiverPid: envelope.senderPid };
}

const GROUPS: ReadonlySet<unknown> = new Set<Target>(['app', 'agent', 'master', 'parent']);

/** Not every caller is checked by TypeScript, and a pid may come as a text, as Egg's messenger takes it. */
function address(target: Target): Pick<Envelope, 'to' | 'receiverPid'> {
  if (GROUPS.has(target)) return { to: target as string };
  if (Number(target) > 0) return { receiverPid: Number(target) };
  const slot = (target as { slot?: unknown } | null)?.slot;
  if (Number.isInteger(slot)) return { to: 'app', receiverPid: `slot:${slot as number}` };
  throw new ClusterError('ERR_CLUSTER_NO_RECEIVER',
    `expected a process id, { slot }, "app", "agent", "master" or "parent", found ${inspect(target)}`);
}

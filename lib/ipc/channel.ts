import { ClusterError, wire } from '../kit/errors.js';
import { owned } from '../kit/faults.js';
import type { Wire } from '../node/wire.js';
import { declareType } from './declarations.js';
import { FrameReader, LONGEST, frame, frameOn, unframe, type Frame } from './frames.js';
import { SLICE, type Intake } from './intake.js';
import type { DataOf, ReceivedBy, ReplyOf, Role, SentBy } from './messages.js';
import { Outbox } from './outbox.js';
import { Requests, type RequestOptions } from './requests.js';

/** The descriptor of a child's channel: 0-2 are the standard streams, 3 is Node's own IPC. */
export const CHANNEL_FD = 4;

interface Handler {
  handle(data: never): unknown;
  valid?: ((data: unknown) => boolean) | undefined;
}

/** How a process listens to one that it does not trust. */
export interface Guard {
  /** On all the ways on which it can talk. */
  intake: Intake;
  /** It has broken the rules; nothing more of it is heard here. */
  misused(reason: string): void;
}

export interface ChannelOptions {
  /** Types are still being declared, until `declared` is called; what comes before its type waits for it. */
  declaring?: boolean;
  /** Without one, what is no message ends the channel. */
  guard?: Guard;
  /** Told of what a handler throws for a message that nobody waits for; without it that goes to the process. */
  fault?(type: string, error: unknown): void;
}

/** Bytes that the other side may leave unread before envelopes, which anybody can repeat, are dropped. */
const UNREAD_ENVELOPES = 8 * 1024 * 1024;
/** The same where they are few messages: one of the longest is no reason to drop the next. */
const FEW = 64;
const UNREAD_FEW = LONGEST + UNREAD_ENVELOPES;
/** Before anything but our own is dropped. */
const UNREAD = 2 * LONGEST;

/**
 * Typed messages between the master and one child, over a pipe of their own (docs/decisions/channel.md): a connection that is
 * handed to a worker blocks Node's IPC channel until the worker has taken it (docs/decisions/node-facts.md, 5), and a pipe
 * keeps what is written before the child reads (the same, 2). It is no relay for anything else: a request of a type without a
 * handler is rejected with ERR_CLUSTER_UNKNOWN_MESSAGE.
 *
 * Data are cloned as V8 does it (see frames.ts), so Map, Date, Buffer and typed arrays arrive as they are. The master believes
 * nothing that a child says (docs/decisions/untrusted-children.md).
 */
export class Channel<Self extends Role = Role, Peer extends Role = Role> {
  /** Messages that were not sent, as the other side does not read. */
  dropped = 0;
  readonly #wire: Wire;
  readonly #guard: Guard | undefined;
  readonly #outbox: Outbox;
  readonly #frames = new FrameReader();
  readonly #handlers = new Map<string, Handler>();
  readonly #requests = new Requests();
  readonly #closed: (() => void)[] = [];
  /** What came before the parts of plugins could declare it; null once they have. */
  #early: Frame[] | null;
  #open = true;
  readonly #fault: ChannelOptions['fault'];
  /** Less of it is heard than it says. */
  #resting = false;
  /** Nothing of it is heard. */
  #deaf = false;

  constructor(wire: Wire, { declaring = false, guard, fault }: ChannelOptions = {}) {
    this.#wire = wire;
    this.#guard = guard;
    this.#fault = fault;
    this.#outbox = new Outbox(wire);
    this.#early = declaring ? [] : null;
    wire.on('data', (chunk: Buffer) => {
      if (this.#deaf) return;
      this.#frames.push(chunk);
      if (!this.#resting) this.#hear(chunk.length);
    });
    // A broken pipe is the other side's end, which 'close' tells.
    wire.on('error', () => {});
    wire.on('close', () => this.#close());
    wire.on('end', () => this.#close());
  }

  /** The other side is there, as far as is known. */
  get open(): boolean {
    return this.#open;
  }

  /** Sends and forgets. False when it was not sent: the other side is gone, or has not read for long. */
  send<T extends SentBy<Self> & ReceivedBy<Peer>>(type: T, data: DataOf<T>): boolean {
    return this.#hasRoom(type) && this.#write(['send', type, data]);
  }

  /**
   * Sends and waits for the handler's answer. Rejects with the handler's error, ERR_CLUSTER_REQUEST_TIMEOUT,
   * _CHANNEL_CLOSED, or _NOT_READING where too much is unread already.
   */
  request<T extends SentBy<Self> & ReceivedBy<Peer>>(type: T, data: DataOf<T>, options: RequestOptions): Promise<ReplyOf<T>> {
    if (this.#hasRoom(type)) return this.#requests.ask(type, options, (id) => this.#write(['ask', type, data, id])) as Promise<ReplyOf<T>>;
    return Promise.reject(new ClusterError('ERR_CLUSTER_NOT_READING', `"${type}" was not sent, as too much is unread there`));
  }

  /**
   * Declares a type and what handles it. One handler a type. In the master `valid` looks at the data first, as a child may say
   * anything: one that says what is not valid is cut off. @throws ClusterError ERR_CLUSTER_PLUGIN: a type has one handler, and
   * this has one
   */
  on<T extends SentBy<Peer> & ReceivedBy<Self>>(
    type: T, handler: (data: DataOf<T>) => ReplyOf<T> | Promise<ReplyOf<T>>, valid?: (data: unknown) => boolean,
  ): void {
    declareType(this, type);
    this.#handlers.set(type, { handle: owned(handler), valid });
    const early = this.#early?.filter((frame) => frame[1] === type) ?? [];
    if (early.length === 0) return;
    this.#early = this.#early?.filter((frame) => frame[1] !== type) ?? null;
    for (const frame of early) this.#dispatch(frame);
  }

  /** All types are declared: what is of none is refused from here on. */
  declared(): void {
    const early = this.#early ?? [];
    this.#early = null;
    for (const frame of early) this.#dispatch(frame);
  }

  /** Called when the other side is gone, or this one has ended the channel; once, and not for one that is closed already. */
  onClose(listener: () => void): void {
    this.#closed.push(listener);
  }

  /**
   * In a child, right before it exits: written synchronously, past the event loop. What has not left yet goes first: a frame in
   * the middle of another one is none (test/integration/hostile-exit.test.ts).
   */
  sendLast<T extends SentBy<Self> & ReceivedBy<Peer>>(type: T, data: DataOf<T>): void {
    if (!this.#open || this.#outbox.writeLast(CHANNEL_FD, () => frame(['send', type, data])) === 'alone') return;
    // Else the event loop would write once more what stood before it, should the process live on.
    this.#open = false;
    this.#wire.destroy();
  }

  /** Lets the process end while the channel is open, or keeps it up. */
  hold(keep: boolean): void {
    if (keep) this.#wire.ref();
    else this.#wire.unref();
  }

  /** Reads on and listens to nothing, until the other side is gone. */
  ignore(): void {
    this.#deaf = true;
    this.#requests.end();
  }

  /** For good; what waits for an answer is rejected with ERR_CLUSTER_CHANNEL_CLOSED. */
  end(): void {
    this.#wire.destroy();
  }

  #hasRoom(type: string): boolean {
    const { size, messages } = this.#outbox;
    if (size <= (messages > FEW ? UNREAD_ENVELOPES : UNREAD_FEW) || type.startsWith('child.')) return true;
    if (size <= UNREAD && type !== 'messenger.envelope') return true;
    this.dropped++;
    return false;
  }

  #write(message: Frame): boolean {
    if (!this.#open || !this.#wire.writable) return false;
    this.#guard?.intake.sent();
    this.#outbox.write(this.#guard ? frameOn(message) : frame(message));
    return true;
  }

  /** What has come, but no longer than a slice: the rest in the next turn, and nothing more is read until then. */
  #hear(bytes = 0): void {
    const began = performance.now();
    let heard = 0;
    let over = false;
    try {
      for (let body = this.#frames.next(); body && !this.#deaf; body = this.#frames.next()) {
        this.#dispatch(unframe(body));
        heard++;
        over = this.#guard !== undefined && performance.now() - began > SLICE;
        if (over) break;
      }
    } catch (error) {
      return this.#misuse(`it sends what is no message: ${(error as Error).message}`);
    }
    const flood = this.#guard?.intake.took(heard, bytes);
    if (flood) this.#misuse(flood);
    if (!over || this.#deaf) return;
    this.#resting = true;
    this.#wire.pause?.();
    setImmediate(() => {
      this.#resting = false;
      this.#hear();
      if (!this.#resting) this.#wire.resume?.();
    });
  }

  #dispatch(message: Frame): void {
    if (this.#early && (message[0] === 'send' || message[0] === 'ask') && !this.#handlers.has(message[1])) {
      this.#early.push(message);
      return;
    }
    switch (message[0]) {
      case 'send':
      case 'ask': {
        const [kind, type, data] = message;
        const handler = this.#handlers.get(type);
        if (this.#guard && handler?.valid && !handler.valid(data)) return this.#misuse(`its "${type}" is not as it was declared`);
        if (kind === 'ask') void this.#answer(type, data, message[3]);
        else if (handler) this.#call(type, () => handler.handle(data as never));
        return;
      }
      case 'answer': {
        const wrong = this.#requests.answered(message[1], message[2], this.#guard !== undefined);
        if (wrong) this.#misuse(wrong);
        return;
      }
      case 'refuse':
        this.#requests.refused(message[1], message[2]);
    }
  }

  /** What a handler throws is the handler's, and no reason to stop listening. */
  #call(type: string, handle: () => unknown): void {
    const fault = this.#fault ?? ((_: string, error: unknown) => { process.nextTick(() => { throw error; }); });
    try {
      const result = handle();
      if (result instanceof Promise && this.#fault) result.catch((error: unknown) => fault(type, error));
    } catch (error) {
      fault(type, error);
    }
  }

  async #answer(type: string, data: unknown, id: number): Promise<void> {
    try {
      const handler = this.#handlers.get(type);
      if (!handler) throw new ClusterError('ERR_CLUSTER_UNKNOWN_MESSAGE', `no handler is declared for "${type}"`);
      this.#reply(['answer', id, await handler.handle(data as never)]);
    } catch (error) {
      this.#reply(['refuse', id, wire(error)]);
    }
  }

  #reply(message: Frame): void {
    if (this.#outbox.size <= UNREAD) this.#write(message);
    else this.#misuse('it asks, and does not read the answers');
  }

  #misuse(reason: string): void {
    if (this.#deaf) return;
    this.ignore();
    if (this.#guard) this.#guard.misused(reason);
    else this.end();
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.ignore();
    for (const listener of this.#closed) listener();
  }
}

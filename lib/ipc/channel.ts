import { writeSync } from 'node:fs';
import { deserialize, serialize } from 'node:v8';
import { ClusterError, fromWire, wire, type ErrorData } from '../kit/errors.js';
import { owned } from '../kit/faults.js';
import type { Wire } from '../node/handle-pipe.js';
import { declareType } from './declarations.js';
import type { DataOf, ReceivedBy, ReplyOf, Role, SentBy } from './messages.js';

/** The descriptor of a child's channel: 0-2 are the standard streams, 3 is Node's own IPC. */
export const CHANNEL_FD = 4;

type Frame =
  | [kind: 'send', type: string, data: unknown]
  | [kind: 'ask', type: string, data: unknown, id: number]
  | [kind: 'answer', id: number, data: unknown]
  | [kind: 'refuse', id: number, error: ErrorData];

type Handler = (data: never) => unknown;

export interface ChannelOptions {
  /** Types are still being declared, until `declared` is called; what comes before its type waits for it. */
  declaring?: boolean;
  /** Told of what a handler throws for a message that nobody waits for; without it that goes to whoever reads the pipe. */
  fault?(type: string, error: unknown): void;
}

/**
 * Typed messages between the master and one child, over a pipe of their own (docs/decisions/channel.md): a connection that is
 * handed to a worker blocks Node's IPC channel until the worker has taken it (docs/decisions/node-facts.md, 5), and a pipe
 * keeps what is written before the child reads (the same, 2). It is no relay for anything else: a request of a type without a
 * handler is rejected with ERR_CLUSTER_UNKNOWN_MESSAGE.
 *
 * Frames: length (4 bytes, big endian), then `v8.serialize`d data, so Map, Date, Buffer and typed arrays arrive as they are.
 */
export class Channel<Self extends Role = Role, Peer extends Role = Role> {
  readonly #wire: Wire;
  readonly #handlers = new Map<string, Handler>();
  readonly #asked = new Map<number, { resolve(value: unknown): void; reject(error: Error): void; timer: NodeJS.Timeout }>();
  readonly #closed: (() => void)[] = [];
  /** What came before the parts of plugins could declare it; null once they have. */
  #early: Frame[] | null;
  #chunks: Buffer[] = [];
  #size = 0;
  #next = 1;
  #open = true;
  readonly #fault: ChannelOptions['fault'];

  constructor(wire: Wire, { declaring = false, fault }: ChannelOptions = {}) {
    this.#wire = wire;
    this.#fault = fault;
    this.#early = declaring ? [] : null;
    wire.on('data', (chunk: Buffer) => this.#receive(chunk));
    // A broken pipe is the other side's end, which 'close' tells.
    wire.on('error', () => {});
    wire.on('close', () => this.#close());
    wire.on('end', () => this.#close());
  }

  /** The other side is there, as far as is known. */
  get open(): boolean {
    return this.#open;
  }

  /** Sends and forgets. False when the other side is gone. */
  send<T extends SentBy<Self> & ReceivedBy<Peer>>(type: T, data: DataOf<T>): boolean {
    return this.#write(['send', type, data]);
  }

  /**
   * Sends and waits for the handler's answer. Rejects with the handler's error, ERR_CLUSTER_REQUEST_TIMEOUT or
   * _CHANNEL_CLOSED. `timeout` in ms.
   */
  request<T extends SentBy<Self> & ReceivedBy<Peer>>(type: T, data: DataOf<T>, { timeout }: { timeout: number }): Promise<ReplyOf<T>> {
    return new Promise<unknown>((resolve, reject) => {
      const id = this.#next++;
      const timer = setTimeout(() => {
        this.#asked.delete(id);
        reject(new ClusterError('ERR_CLUSTER_REQUEST_TIMEOUT', `"${type}" was not answered within ${timeout} ms`));
      }, timeout);
      this.#asked.set(id, { resolve, reject, timer });
      if (!this.#write(['ask', type, data, id])) this.#fail(id, gone());
    }) as Promise<ReplyOf<T>>;
  }

  /** Declares a type and what handles it. @throws ClusterError ERR_CLUSTER_PLUGIN: a type has one handler, and this has one */
  on<T extends SentBy<Peer> & ReceivedBy<Self>>(type: T, handler: (data: DataOf<T>) => ReplyOf<T> | Promise<ReplyOf<T>>): void {
    declareType(this, type);
    this.#handlers.set(type, owned(handler) as Handler);
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

  /** In a child, right before it exits: written synchronously, past the event loop. */
  sendLast<T extends SentBy<Self> & ReceivedBy<Peer>>(type: T, data: DataOf<T>): void {
    try {
      writeSync(CHANNEL_FD, frame(['send', type, data] satisfies Frame));
    } catch {
      // The master is gone or the pipe is full; the exit code still tells.
    }
  }

  /** Lets the process end while the channel is open, or keeps it up. */
  hold(keep: boolean): void {
    if (keep) this.#wire.ref();
    else this.#wire.unref();
  }

  /** For good; what waits for an answer is rejected with ERR_CLUSTER_CHANNEL_CLOSED. */
  end(): void {
    this.#wire.destroy();
  }

  #write(message: Frame): boolean {
    if (!this.#open || !this.#wire.writable) return false;
    this.#wire.write(frame(message));
    return true;
  }

  #receive(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    while (this.#size >= 4) {
      if (this.#chunks[0]!.length < 4) this.#chunks = [Buffer.concat(this.#chunks)];
      const length = this.#chunks[0]!.readUInt32BE(0);
      if (this.#size < 4 + length) return;
      const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
      const rest = all.subarray(4 + length);
      this.#chunks = rest.length > 0 ? [rest] : [];
      this.#size = rest.length;
      this.#dispatch(deserialize(all.subarray(4, 4 + length)) as Frame);
    }
  }

  #dispatch(message: Frame): void {
    if (this.#early && (message[0] === 'send' || message[0] === 'ask') && !this.#handlers.has(message[1])) {
      this.#early.push(message);
      return;
    }
    switch (message[0]) {
      case 'send':
        this.#call(message[1], message[2]);
        return;
      case 'ask': {
        const [, type, data, id] = message;
        void this.#answer(type, data, id);
        return;
      }
      case 'answer': {
        const waiting = this.#take(message[1]);
        waiting?.resolve(message[2]);
        return;
      }
      case 'refuse':
        this.#take(message[1])?.reject(fromWire(message[2]));
    }
  }

  #call(type: string, data: unknown): void {
    const fault = this.#fault;
    if (!fault) return void this.#handlers.get(type)?.(data as never);
    try {
      const result = this.#handlers.get(type)?.(data as never);
      if (result instanceof Promise) result.catch((error: unknown) => fault(type, error));
    } catch (error) {
      fault(type, error);
    }
  }

  async #answer(type: string, data: unknown, id: number): Promise<void> {
    try {
      const handler = this.#handlers.get(type);
      if (!handler) throw new ClusterError('ERR_CLUSTER_UNKNOWN_MESSAGE', `no handler is declared for "${type}"`);
      this.#write(['answer', id, await handler(data as never)]);
    } catch (error) {
      this.#write(['refuse', id, wire(error)]);
    }
  }

  #take(id: number) {
    const waiting = this.#asked.get(id);
    if (!waiting) return undefined;
    this.#asked.delete(id);
    clearTimeout(waiting.timer);
    return waiting;
  }

  #fail(id: number, error: Error): void {
    this.#take(id)?.reject(error);
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const id of [...this.#asked.keys()]) this.#fail(id, gone());
    for (const listener of this.#closed) listener();
  }
}

const gone = () => new ClusterError('ERR_CLUSTER_CHANNEL_CLOSED', 'the other process is gone');

function frame(message: Frame): Buffer {
  const body = serialize(message);
  const out = Buffer.allocUnsafe(4 + body.length);
  out.writeUInt32BE(body.length, 0);
  body.copy(out, 4);
  return out;
}

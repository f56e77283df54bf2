import type { Duplex } from 'node:stream';
import { closeFrame, endsWithClose, Frames } from './frames.js';

type Done = (error?: Error | null) => void;
const doneOf = (args: unknown[]): Done | undefined => args.find((arg): arg is Done => typeof arg === 'function');

/** For a writer that does not know of the end: what it writes from now on is dropped, and is no error. */
export function drop(args: unknown[]): true {
  const done = doneOf(args);
  if (done) process.nextTick(done);
  return true;
}

const encodingOf = (encoding: unknown): BufferEncoding => typeof encoding === 'string' ? encoding as BufferEncoding : 'utf8';

/** What is none is for Node to refuse. */
function bytesOf(chunk?: unknown, encoding?: unknown): Buffer {
  if (typeof chunk === 'string') return Buffer.from(chunk, encodingOf(encoding));
  return ArrayBuffer.isView(chunk) ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength) : Buffer.alloc(0);
}

/**
 * One WebSocket, whoever speaks it: `ws`, Socket.IO, an app by itself, or another worker through this one. What the server sends
 * is read along from the handshake on, so that a close frame can be put between two messages at any time.
 */
export class WebSocketEnd {
  readonly path: string;
  /** `performance.now()` */
  readonly since = performance.now();
  /** `performance.now()` at which the client was told, by us or by the app; null: not yet. */
  toldAt: number | null = null;
  /** `performance.now()` at which its answer came. */
  answeredAt: number | null = null;
  readonly socket: Duplex;
  readonly #frames: Frames;
  readonly #write: (...args: unknown[]) => boolean;
  /** The code that it is to close with as soon as a message ends. */
  #wanted: number | null = null;
  #silent = false;

  /** `answered`: the handshake is over. */
  constructor(socket: Duplex, path: string, answered: boolean) {
    this.socket = socket;
    this.path = path;
    this.#frames = new Frames(answered);
    const { write, end } = socket;
    this.#write = (...args) => Reflect.apply(write, socket, args) as boolean;
    socket.write = ((...args: unknown[]) => this.#pass(args)) as typeof write;
    socket.end = ((...args: unknown[]) => {
      const chunk = typeof args[0] === 'function' ? undefined : args[0];
      // Node's own end() writes without write().
      if (chunk !== undefined && chunk !== null) this.#pass(args.slice(0, typeof args[1] === 'string' ? 2 : 1));
      const done = doneOf(args);
      return Reflect.apply(end, socket, done ? [done] : []) as Duplex;
    }) as typeof end;
  }

  get key(): object {
    return this;
  }

  /** It is no WebSocket after all. */
  get other(): boolean {
    return this.#frames.other;
  }

  /** It is a request still, as the app has not answered the handshake. */
  get asking(): boolean {
    return this.#frames.asking;
  }

  /** Closes it between two messages, now or when the one that is being sent is whole; false: it is, or will be, closed already. */
  goodbye(code: number, now: number): boolean {
    if (this.#frames.closed || this.socket.writableEnded) {
      this.toldAt ??= now;
      return false;
    }
    const isNew = this.#wanted === null;
    this.#wanted = code;
    this.#tell();
    return isNew;
  }

  #tell(): void {
    const code = this.#wanted;
    if (code === null || this.#silent || !this.#frames.whole) return;
    this.#silent = true;
    this.toldAt = performance.now();
    // Somebody reads it as a rule; a listener of ours would make a stream flow that nobody reads.
    if (this.socket.listenerCount('data') + this.socket.listenerCount('readable') > 0) {
      this.socket.prependListener('data', (bytes: unknown) => {
        if (bytes instanceof Uint8Array && endsWithClose(bytes, code)) this.answeredAt ??= performance.now();
      });
    }
    this.#write(closeFrame(code));
  }

  #pass(args: unknown[]): boolean {
    const [chunk, encoding] = args;
    if (this.#silent) return drop(args);
    if (this.other || this.socket.writableEnded) return this.#write(...args);
    if (this.#wanted !== null) return this.#passUntilWhole(args);
    if (typeof chunk === 'string') this.#count(chunk, encodingOf(encoding));
    else this.#frames.read(bytesOf(chunk));
    return this.#write(...args);
  }

  /** Texts are payload as a rule, and then need not be made bytes a second time. */
  #count(text: string, encoding: BufferEncoding): void {
    const { payload } = this.#frames;
    const length = payload > 0 ? Buffer.byteLength(text, encoding) : 0;
    if (payload > 0 && length <= payload) this.#frames.skip(length);
    else this.#frames.read(Buffer.from(text, encoding));
  }

  #passUntilWhole(args: unknown[]): boolean {
    const bytes = bytesOf(...args);
    const end = this.#frames.read(bytes, true);
    if (!this.#frames.whole || this.#frames.closed) return this.#write(...args);
    this.#write(bytes.subarray(0, end));
    this.#tell();
    return drop(args);
  }
}

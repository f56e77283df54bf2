import net, { type Socket } from 'node:net';
import type { Hop } from './hop.js';
import { FrameReader, FrameWriter, Kind } from './link-frames.js';

/** Bytes of one frame: others shall not wait long behind it, and a slow client's `pause` comes between two. */
const MOST = 64 * 1024;

type Done = (error?: Error | null) => void;

/**
 * At an owner, one of the connections that a link carries: for Node's HTTP server a socket like any other, which has one request after
 * the other, and for an app the client's own.
 */
export class Line extends net.Socket {
  /** Of the request that has come last. */
  hop: Hop | null = null;
  /** Heads that have come. */
  taken = 0;
  inward = 0;
  outward = 0;
  readonly #id: number;
  readonly #out: FrameWriter;
  readonly #gone: () => void;
  /** Goes on with what is to be written, once the client is faster. */
  #waiting: (() => void) | null = null;
  #isPaused = false;

  constructor(id: number, out: FrameWriter, gone: () => void) {
    super({ allowHalfOpen: true });
    this.#id = id;
    this.#out = out;
    this.#gone = gone;
  }

  /** One that has ended takes nothing any more. */
  accept(head: Buffer, hop: Hop): void {
    if (this.destroyed || this.writableEnded) return;
    this.hop = hop;
    this.taken++;
    this.inward += head.length;
    this.#isAlive();
    // What push() does, but for a look whether more is to be read.
    if (this.readableFlowing && this.readableLength === 0) this.emit('data', head);
    else this.push(head);
  }

  pauseAnswers(isPaused: boolean): void {
    this.#isPaused = isPaused;
    const goOn = this.#waiting;
    if (isPaused || !goOn) return;
    this.#waiting = null;
    goOn();
  }

  override _read(): void {}

  override _write(chunk: Buffer | string, encoding: BufferEncoding, done: Done): void {
    this.#isAlive();
    // Three bytes are the most that a character takes.
    if (typeof chunk === 'string' && chunk.length > MOST / 3) chunk = Buffer.from(chunk, encoding);
    this.#send(chunk, encoding, done);
  }

  override _writev(chunks: { chunk: Buffer | string; encoding: BufferEncoding }[], done: Done): void {
    const [only] = chunks;
    if (only && chunks.length === 1) return this._write(only.chunk, only.encoding, done);
    const bytes = chunks.map(({ chunk, encoding }) => (typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk));
    this._write(Buffer.concat(bytes), 'latin1', done);
  }

  #send(chunk: Buffer | string, encoding: BufferEncoding, done: Done): void {
    if (this.#isPaused) {
      this.#waiting = () => this.#send(chunk, encoding, done);
      return;
    }
    const rest = chunk.length > MOST ? (chunk as Buffer).subarray(MOST) : null;
    this.outward += this.#out.frame(Kind.bytes, this.#id, rest ? (chunk as Buffer).subarray(0, MOST) : chunk, encoding, rest ? () => {
      if (this.destroyed) done();
      else this.#send(rest, encoding, done);
    } : done);
  }

  override _final(done: Done): void {
    this.#out.frame(Kind.end, this.#id);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#gone();
    super._destroy(error, done);
  }

  /** A time-out that the app has set begins anew with every byte. */
  #isAlive(): void {
    if (this.timeout) this.setTimeout(this.timeout);
  }
}

/** What such a socket says of itself: its client's ends, as the other worker has told them. */
const shown: Record<string, (this: Line) => unknown> = {
  remoteAddress() { return this.hop?.ends.remoteAddress; },
  remotePort() { return this.hop?.ends.remotePort; },
  remoteFamily() { return familyOf(this.hop?.ends.remoteAddress); },
  localAddress() { return this.hop?.ends.localAddress; },
  localPort() { return this.hop?.ends.localPort; },
  localFamily() { return familyOf(this.hop?.ends.localAddress); },
  encrypted() { return this.hop?.ends.encrypted; },
  bytesRead() { return this.inward; },
  bytesWritten() { return this.outward; },
};
for (const [name, get] of Object.entries(shown)) Object.defineProperty(Line.prototype, name, { get, configurable: true });

const familyOf = (address: string | undefined): string | undefined =>
  address === undefined ? undefined : net.isIPv6(address) ? 'IPv6' : 'IPv4';

/** At an owner, the links of others: each carries lines, which `open` is given as if they had been accepted. */
export class Links {
  readonly #open: (line: Line) => void;
  readonly #links = new Set<{ socket: Socket; out: FrameWriter; lines: Map<number, Line> }>();

  constructor(open: (line: Line) => void) {
    this.#open = open;
  }

  /** `socket`: a connection that has said what it is; `first`: what has come behind that. */
  add(socket: Socket, first: Buffer): void {
    // It is no connection of an app's client, which a drain would end.
    Reflect.set(socket, 'server', null);
    const out = new FrameWriter(socket, true);
    const lines = new Map<number, Line>();
    const clients = new Map<number, Hop>();
    const link = { socket, out, lines };
    this.#links.add(link);
    const lineOf = (id: number): Line => {
      const line: Line = new Line(id, out, () => {
        lines.delete(id);
        out.frame(Kind.gone, id, line.taken);
      });
      line.on('error', () => {});
      lines.set(id, line);
      this.#open(line);
      return line;
    };
    const take: Record<number, (id: number, payload: Buffer) => void> = {
      [Kind.client]: (id, payload) => clients.set(id, JSON.parse(String(payload)) as Hop),
      [Kind.forget]: (id) => clients.delete(id),
      [Kind.open]: (id, payload) => { lineOf(id).accept(payload.subarray(4), clients.get(payload.readUInt32LE(0)) as Hop); },
      [Kind.ask]: (id, payload) => { lines.get(id)?.accept(payload.subarray(4), clients.get(payload.readUInt32LE(0)) as Hop); },
      [Kind.close]: (id) => lines.get(id)?.destroy(),
      [Kind.pause]: (id) => lines.get(id)?.pauseAnswers(true),
      [Kind.resume]: (id) => lines.get(id)?.pauseAnswers(false),
    };
    const reader = new FrameReader((kind, id, payload) => take[kind]?.(id, payload));
    const over = (): void => {
      this.#links.delete(link);
      for (const line of lines.values()) line.destroy();
      socket.destroy();
    };
    socket.on('data', (chunk: Buffer) => reader.read(chunk)).on('end', over).on('error', over).on('close', over);
    if (first.length > 0) reader.read(first);
    socket.resume();
  }

  /** All that has been said leaves this process; then they are closed. */
  close(): void {
    for (const { socket, out } of this.#links) {
      out.flush();
      socket.end();
    }
  }
}

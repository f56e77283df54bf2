import type { Socket } from 'node:net';

/**
 * What two workers say to each other on one connection, about many requests at once. A frame: one byte of kind, a number (of a line
 * that requests take one after the other, or of a client's connection), the bytes of the payload, and these.
 */
export const Kind = {
  /** To the owner. Of a client's connection, a hop: what the app shall see of it. */
  client: 1,
  /** It is closed. */
  forget: 2,
  /** A head on a line: the number of its client's connection, then what HTTP/1.1 has. `open`: the line is new. */
  open: 3,
  ask: 4,
  /** Nobody waits for the answer on this line any more, or it is needed no longer. */
  close: 5,
  pause: 6,
  resume: 7,
  /** To who asks. Bytes of an answer, handed on as they come, whether all of the frame is there or not. */
  bytes: 8,
  /** The line has ended in order, and nothing comes behind that. */
  end: 9,
  /** It is closed, and its number is free: the heads that it has taken in its time. */
  gone: 10,
} as const;

export const PROTOCOL = 'hatchery-link';

const HEAD = 9;
const SLAB = 64 * 1024;
/** Bytes from which on they are not copied. */
const LARGE = 8 * 1024;
/** Bytes of UTF-8 for a character of a string, and the characters of one that is written where it goes. */
const WIDEST = 3;
const SHORT = 4 * 1024;
const NO_BYTES = Buffer.alloc(0);

/** Puts frames together, for as long as a turn of the loop takes, and writes them in one go. */
export class FrameWriter {
  readonly #socket: Socket;
  readonly #written: () => void;
  #slab: Buffer | null = null;
  #spare: Buffer | null = null;
  #from = 0;
  #at = 0;
  #parts: Buffer[] = [];
  #done: (() => void)[] = [];
  #isDue = false;
  #isOpen: boolean;
  readonly #turn = (): void => {
    this.#isDue = false;
    this.flush();
  };

  /** `written`: what has been said until now leaves this process. Nothing is written before `open` where it is not open yet. */
  constructor(socket: Socket, isOpen: boolean, written: () => void = () => {}) {
    this.#socket = socket;
    this.#isOpen = isOpen;
    this.#written = written;
  }

  open(): void {
    this.#isOpen = true;
    this.flush();
  }

  /** `done`: it has left this process. A payload that is a number takes four bytes. Returns those of it. */
  frame(
    kind: number, id: number, payload: Buffer | string | number = NO_BYTES, encoding: BufferEncoding = 'latin1', done?: () => void,
  ): number {
    if (typeof payload === 'string' && payload.length > SHORT) payload = Buffer.from(payload, encoding);
    let length = 4;
    if (typeof payload === 'number') {
      const slab = this.#room(HEAD + 4);
      this.#at = slab.writeUInt32LE(payload, this.#head(slab, kind, id, 4));
    } else if (typeof payload === 'string') {
      const slab = this.#room(HEAD + payload.length * WIDEST);
      length = slab.write(payload, this.#at + HEAD, encoding);
      this.#at = this.#head(slab, kind, id, length) + length;
    } else {
      ({ length } = payload);
      this.#head(this.#room(HEAD), kind, id, length);
      this.#bytes(payload);
    }
    if (done) this.#done.push(done);
    this.#due();
    return length;
  }

  /** A head of a request behind the number of its client. */
  ask(kind: number, id: number, client: number, text: string): void {
    const slab = this.#room(HEAD + 4 + text.length);
    const at = slab.writeUInt32LE(client, this.#head(slab, kind, id, text.length + 4));
    this.#at = at + slab.write(text, at, 'latin1');
    this.#due();
  }

  flush(): void {
    if (!this.#isOpen || this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#cutOff();
    const [parts, done, slab] = [this.#parts, this.#done, this.#slab];
    if (parts.length === 0) return;
    this.#parts = [];
    this.#done = [];
    this.#slab = this.#spare;
    this.#spare = null;
    this.#from = this.#at = 0;
    this.#socket.cork();
    for (const part of parts.slice(0, -1)) this.#socket.write(part);
    this.#socket.write(parts.at(-1) as Buffer, () => {
      if (slab?.length === SLAB) this.#spare = slab;
      for (const one of done) one();
    });
    this.#socket.uncork();
    this.#written();
  }

  #bytes(payload: Buffer): void {
    if (payload.length === 0) return;
    if (payload.length < LARGE) {
      const slab = this.#room(payload.length);
      this.#at += payload.copy(slab, this.#at);
      return;
    }
    this.#cutOff();
    this.#parts.push(payload);
  }

  #head(slab: Buffer, kind: number, id: number, length: number): number {
    slab[this.#at] = kind;
    slab.writeUInt32LE(id, this.#at + 1);
    return this.#at = slab.writeUInt32LE(length, this.#at + 5);
  }

  #room(bytes: number): Buffer {
    if (this.#slab && this.#slab.length - this.#at >= bytes) return this.#slab;
    this.#cutOff();
    this.#from = this.#at = 0;
    return this.#slab = Buffer.allocUnsafe(Math.max(SLAB, bytes));
  }

  #cutOff(): void {
    if (this.#slab && this.#at > this.#from) this.#parts.push(this.#slab.subarray(this.#from, this.#at));
    this.#from = this.#at;
  }

  #due(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(this.#turn);
  }
}

/** Takes them apart. */
export class FrameReader {
  readonly #take: (kind: number, id: number, payload: Buffer) => void;
  /** What is there of a frame that is not whole. */
  #rest: Buffer = NO_BYTES;
  /** Bytes that are missing of a frame of kind `bytes`, and of which line. */
  #missing = 0;
  #line = 0;

  constructor(take: (kind: number, id: number, payload: Buffer) => void) {
    this.#take = take;
  }

  read(chunk: Buffer): void {
    let at = 0;
    if (this.#missing > 0) at = this.#pass(chunk, 0, this.#missing);
    else if (this.#rest.length > 0) chunk = Buffer.concat([this.#rest, chunk]);
    while (chunk.length - at >= HEAD) {
      const kind = chunk[at] as number;
      const id = chunk.readUInt32LE(at + 1);
      const length = chunk.readUInt32LE(at + 5);
      if (kind === Kind.bytes) {
        this.#line = id;
        at = this.#pass(chunk, at + HEAD, length);
      } else {
        if (chunk.length - at - HEAD < length) break;
        this.#take(kind, id, chunk.subarray(at + HEAD, at += HEAD + length));
      }
    }
    this.#rest = chunk.subarray(at);
  }

  #pass(chunk: Buffer, from: number, length: number): number {
    const to = Math.min(chunk.length, from + length);
    this.#missing = length - (to - from);
    if (to > from) this.#take(Kind.bytes, this.#line, chunk.subarray(from, to));
    return to;
  }
}

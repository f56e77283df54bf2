/** Longest head of an answer that is read along, bytes. */
const LONGEST_HEAD = 64 * 1024;
const HEAD_END = '\r\n\r\n';

const CONTROL = 0x08;
const CLOSE = 0x08;
const FIN = 0x80;
/** A bit for each opcode that there is (RFC 6455, 5.2). */
const KNOWN = 1 << 0x0 | 1 << 0x1 | 1 << 0x2 | 1 << 0x8 | 1 << 0x9 | 1 << 0xa;

/** Bytes that a frame's length takes behind its second byte. */
const lengthBytes = (short: number): number => short < 126 ? 0 : short === 126 ? 2 : 8;

/**
 * Reads along what a server sends on a WebSocket, from its answer to the handshake on, and knows where all that was sent is
 * whole messages. It keeps nothing but its place.
 */
export class Frames {
  /** The answer's head until its end; null behind it. */
  #head: string | null;
  /** Bytes of a frame's own head that have come, and that it has; its first one, and the length that it tells. */
  #come = 0;
  #has = 2;
  #first = 0;
  #length = 0;
  #longer = 0;
  /** Bytes of the frame's payload that are to come. */
  #left = 0;
  /** More frames of the message are to come. */
  #fragmented = false;
  /** The server has said goodbye itself. */
  closed = false;
  /** It is no WebSocket: the handshake was refused, or something else is spoken. */
  other = false;

  /** `answered`: the handshake's answer is not part of what is read (HTTP/2). */
  constructor(answered: boolean) {
    this.#head = answered ? null : '';
  }

  /** The handshake has not been answered yet. */
  get asking(): boolean {
    return this.#head !== null && !this.other;
  }

  /** Nothing is begun: a frame that comes now cuts no message in two. */
  get whole(): boolean {
    return this.#head === null && this.#left === 0 && this.#come === 0 && !this.#fragmented && !this.other;
  }

  /** The next bytes are payload, and so many at least are still to come. */
  get payload(): number {
    return this.#left;
  }

  skip(bytes: number): void {
    this.#left -= bytes;
  }

  /** Returns how many bytes it has read: all of them, or with `untilWhole` those until a message ends. */
  read(bytes: Uint8Array, untilWhole = false): number {
    let at = 0;
    while (at < bytes.length && !this.other) {
      if (this.#head !== null) at = this.#readHead(bytes, at, this.#head);
      else if (this.#left > 0) at = this.#readPayload(bytes, at);
      else this.#readFrame(bytes[at++]!);
      if (untilWhole && this.whole) return at;
    }
    return bytes.length;
  }

  #readPayload(bytes: Uint8Array, at: number): number {
    const read = Math.min(this.#left, bytes.length - at);
    this.#left -= read;
    return at + read;
  }

  #readHead(bytes: Uint8Array, at: number, before: string): number {
    const text = before + Buffer.from(bytes.buffer, bytes.byteOffset + at, bytes.length - at).toString('latin1');
    const end = text.indexOf(HEAD_END);
    if (end < 0) {
      this.#head = text;
      this.other = text.length > LONGEST_HEAD;
      return bytes.length;
    }
    const status = /^HTTP\/1\.\d (\d{3})/.exec(text)?.[1] ?? '';
    // An interim answer may come first.
    this.#head = status.startsWith('1') && status !== '101' ? '' : null;
    this.other = !status.startsWith('1');
    return at + end + HEAD_END.length - before.length;
  }

  #readFrame(byte: number): void {
    const at = this.#come++;
    if (at === 0) this.#first = byte;
    else if (at === 1) {
      const short = byte & 0x7f;
      this.#longer = lengthBytes(short);
      this.#length = this.#longer ? 0 : short;
      this.#has = 2 + this.#longer + (byte & 0x80 ? 4 : 0);
    } else if (at < 2 + this.#longer) this.#length = this.#length * 256 + byte;
    if (at === 0 || this.#come < this.#has) return;
    this.#come = 0;
    this.#left = this.#length;
    const opcode = this.#first & 0x0f;
    this.other = (KNOWN >> opcode & 1) === 0;
    if (opcode === CLOSE) this.closed = true;
    if (opcode < CONTROL) this.#fragmented = (this.#first & FIN) === 0;
  }
}

/** A close frame as a server sends it. */
export const closeFrame = (code: number): Buffer => Buffer.from([FIN | CLOSE, 2, code >> 8, code & 0xff]);

/** What a client has sent ends with its answer to a close frame (masked, with the same code, or with none). */
export function endsWithClose(bytes: Uint8Array, code: number): boolean {
  const { length } = bytes;
  if (length === 6 && bytes[0] === (FIN | CLOSE) && bytes[1] === 0x80) return true;
  const [first, second, a = 0, b = 0, , , x = 0, y = 0] = bytes.subarray(Math.max(0, length - 8));
  if (first !== (FIN | CLOSE) || second !== 0x82) return false;
  return length === 8 || (a ^ x) << 8 === (code & 0xff00) && (b ^ y) === (code & 0xff);
}

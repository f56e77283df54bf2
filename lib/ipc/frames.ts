import { deserialize, serialize } from 'node:v8';
import { ClusterError, isErrorData, type ErrorData } from '../kit/errors.js';

export type Frame =
  | [kind: 'send', type: string, data: unknown]
  | [kind: 'ask', type: string, data: unknown, id: number]
  | [kind: 'answer', id: number, data: unknown]
  | [kind: 'refuse', id: number, error: ErrorData];

/** Bytes that a message may have: what is longer is refused where it is sent. */
export const LONGEST = 16 * 1024 * 1024;
/** What passing it on may add, its sender for instance. */
const MARGIN = 64 * 1024;
export const LENGTH = 4;
const LONGEST_LIST = 4;

/**
 * A message as it goes over a pipe: length (4 bytes, big endian), then `v8.serialize`d data.
 * @throws ClusterError ERR_CLUSTER_MESSAGE_TOO_LONG, _NOT_CLONEABLE
 */
export function frame(message: Frame, longest = LONGEST): Buffer {
  const body = serialized(message);
  if (body.length > longest) {
    throw new ClusterError('ERR_CLUSTER_MESSAGE_TOO_LONG', `a message has at most ${longest} bytes, found ${body.length}`);
  }
  const out = Buffer.allocUnsafe(LENGTH + body.length);
  out.writeUInt32BE(body.length, 0);
  body.copy(out, LENGTH);
  return out;
}

function serialized(message: Frame): Buffer {
  try {
    return serialize(message);
  } catch (error) {
    throw new ClusterError('ERR_CLUSTER_NOT_CLONEABLE',
      `a message holds what cannot be sent: ${(error as Error).message}`, { cause: error });
  }
}

/** A message that is only passed on, which was measured when it was sent. */
export const frameOn = (message: Frame): Buffer => frame(message, LONGEST + MARGIN);

const kinds: Readonly<Record<Frame[0], (rest: readonly unknown[]) => boolean>> = {
  send: ([type]) => typeof type === 'string',
  ask: ([type, , id]) => typeof type === 'string' && Number.isSafeInteger(id),
  answer: ([id]) => Number.isSafeInteger(id),
  refuse: ([id, error]) => Number.isSafeInteger(id) && isErrorData(error),
};

/** The message in the bytes of a frame. @throws Error where there is none */
export function unframe(body: Buffer): Frame {
  const message: unknown = deserialize(body);
  if (!Array.isArray(message) || message.length > LONGEST_LIST) throw new Error('no list');
  const [kind, ...rest] = message as [keyof typeof kinds, ...unknown[]];
  if (typeof kind !== 'string' || !Object.hasOwn(kinds, kind) || !kinds[kind](rest)) throw new Error('of no known kind');
  return message as Frame;
}

/**
 * Cuts a stream of bytes into frames. Memory for one is asked for when its length has come, and used as its bytes do: who sends
 * them one at a time, or never the last, costs what he has sent.
 */
export class FrameReader {
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;
  readonly #length = Buffer.alloc(LENGTH);
  #lengthBytes = 0;
  #body: Buffer | null = null;
  #filled = 0;

  push(chunk: Buffer): void {
    this.#chunk = this.#at < this.#chunk.length ? Buffer.concat([this.#chunk.subarray(this.#at), chunk]) : chunk;
    this.#at = 0;
  }

  /** The next frame that is whole, less its length; null: it is still to come. @throws Error where it would be too long */
  next(): Buffer | null {
    if (!this.#body) {
      while (this.#lengthBytes < LENGTH && this.#at < this.#chunk.length) {
        this.#length[this.#lengthBytes++] = this.#chunk[this.#at++] as number;
      }
      if (this.#lengthBytes < LENGTH) return null;
      const length = this.#length.readUInt32BE(0);
      if (length > LONGEST + MARGIN) throw new Error(`a message of ${length} bytes, of at most ${LONGEST}`);
      this.#lengthBytes = 0;
      if (this.#chunk.length - this.#at >= length) return this.#chunk.subarray(this.#at, this.#at += length);
      this.#body = Buffer.allocUnsafe(length);
      this.#filled = 0;
    }
    const copied = this.#chunk.copy(this.#body, this.#filled, this.#at);
    this.#at += copied;
    this.#filled += copied;
    if (this.#filled < this.#body.length) return null;
    const whole = this.#body;
    this.#body = null;
    return whole;
  }
}

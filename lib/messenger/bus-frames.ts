import { Packr, RESERVE_START_SPACE, addExtension } from 'msgpackr/pack';
import { LENGTH, LONGEST } from '../ipc/frames.js';
import type { Envelope } from '../ipc/messages.js';
import { ClusterError, fromWire, isErrorData, wireWhole, type ErrorData } from '../kit/errors.js';

/** A process on the bus, as the others know it. */
export interface Identity {
  pid: number;
  /** -1: the agent. */
  slot: number;
}

/** The first bytes on a connection: what it is, the token, and who speaks. */
const MAGIC = Buffer.from('hatchery bus 1\n\0');
export const TOKEN_BYTES = 32;
export const PREAMBLE = MAGIC.length + TOKEN_BYTES + 8;

export function preamble(token: Buffer, { pid, slot }: Identity): Buffer {
  const numbers = Buffer.alloc(8);
  numbers.writeUInt32BE(pid, 0);
  numbers.writeInt32BE(slot, 4);
  return Buffer.concat([MAGIC, token, numbers]);
}

/** So far it may be one. */
export const mayBePreamble = (bytes: Buffer): boolean =>
  bytes.subarray(0, MAGIC.length).equals(MAGIC.subarray(0, bytes.length));

/** In the same time, however much of it is right; without node:crypto, which would cost whoever speaks first 6 ms. */
function areSame(given: Buffer, token: Buffer): boolean {
  let difference = given.length ^ token.length;
  for (let at = 0; at < token.length; at++) difference |= (given[at] ?? 0) ^ (token[at] as number);
  return difference === 0;
}

/** Who speaks; null: it may not. */
export function readPreamble(bytes: Buffer, token: Buffer): Identity | null {
  if (!mayBePreamble(bytes) || !areSame(bytes.subarray(MAGIC.length, MAGIC.length + TOKEN_BYTES), token)) return null;
  return { pid: bytes.readUInt32BE(PREAMBLE - 8), slot: bytes.readInt32BE(PREAMBLE - 4) };
}

/** Of the extensions that MessagePack leaves to applications. */
const ERROR = 1;

/** Records (the default) tell an object from a Map; nothing of one message is needed to read the next. */
const packr = new Packr({
  structuredClone: true,
  copyBuffers: true,
  writeFunction: (): never => { throw new TypeError('a function cannot be sent'); },
});

// It goes on with buffers of the size that it has: by itself 8 KiB, so that every few messages would be one more for the collector.
packr.useBuffer(Buffer.allocUnsafeSlow(64 * 1024));

// msgpackr's own keeps name and message alone.
addExtension({
  Class: Error,
  type: ERROR,
  write: (error: Error) => wireWhole(error),
  read: (data: unknown) => {
    if (!isErrorData(data)) throw new TypeError('no error');
    return fromWire(data as ErrorData);
  },
});

/**
 * A frame of the bus: its length (4 bytes, big endian) and MessagePack. Map, Set, Date, Buffer, typed arrays, BigInt, RegExp and
 * circles arrive as they are, an Error with its cause and its own fields.
 * @throws ClusterError ERR_CLUSTER_MESSAGE_TOO_LONG; ERR_CLUSTER_NOT_CLONEABLE for a function, a symbol, what is nested too deep
 */
export function pack(message: readonly unknown[]): Buffer {
  const frame = framed(message);
  const length = frame.length - LENGTH;
  if (length > LONGEST) {
    throw new ClusterError('ERR_CLUSTER_MESSAGE_TOO_LONG', `a message has at most ${LONGEST} bytes, found ${length}`);
  }
  frame.writeUInt32BE(length, 0);
  return frame;
}

function framed(message: readonly unknown[]): Buffer {
  try {
    return packr.pack(message, RESERVE_START_SPACE | LENGTH) as Buffer;
  } catch (error) {
    throw new ClusterError('ERR_CLUSTER_NOT_CLONEABLE',
      `a message holds what cannot be sent: ${(error as Error).message}`, { cause: error });
  }
}

/** What is in a frame, less its length. @throws Error where that is nothing */
export const unpack = (body: Buffer): unknown => packr.unpack(body);

/** The same of a whole frame. */
export const unpackFrame = (frame: Buffer): unknown => unpack(frame.subarray(LENGTH));

/** {@link pack} less its length. */
export const packed = (message: readonly unknown[]): Buffer => pack(message).subarray(LENGTH);

/** What arrives of a value in another process. @throws as {@link pack} */
export const copied = (value: unknown): unknown => (unpackFrame(pack([value])) as unknown[])[0];

let last: { frames: readonly Buffer[]; bytes: Buffer } | null = null;

/** Frames as the bytes of one write. What goes to several processes at once, a broadcast, is put together once for all of them. */
export function joined(frames: readonly Buffer[], length: number): Buffer {
  if (frames.length === 1) return frames[0] as Buffer;
  const isLast = last?.frames.length === frames.length && last.frames.every((frame, at) => frame === frames[at]);
  if (!last || !isLast) last = { frames, bytes: Buffer.concat(frames, length) };
  return last.bytes;
}

/** What an envelope is on its way: who sends it is known by the connection. */
export function envelopeToList({ action, data, id, request, to, receiverPid, meta }: Envelope): unknown[] {
  const list = [action, data, id, request ?? 0, to ?? 0, receiverPid ?? 0];
  if (meta !== undefined) list.push(meta);
  return list;
}

type List = [action: string, data: unknown, id: string, request: number, to: string | 0, receiverPid: string | number, meta?: object];

/** @throws Error where it is none */
export function envelopeOf(message: unknown, { pid, slot }: Identity): Envelope {
  if (!Array.isArray(message)) throw new Error('no list');
  const [action, data, id, request, to, receiverPid, meta] = message as List;
  const isOne = typeof action === 'string' && Number.isSafeInteger(request) && (id === undefined || typeof id === 'string')
    && (to === 0 || typeof to === 'string') && (typeof receiverPid === 'number' || typeof receiverPid === 'string')
    && (meta === undefined || (typeof meta === 'object' && meta !== null));
  if (!isOne) throw new Error('no envelope');
  const envelope: Envelope = { action, data, from: slot < 0 ? 'agent' : 'app', senderPid: pid, id };
  if (to !== 0) envelope.to = to;
  if (receiverPid !== 0) envelope.receiverPid = receiverPid;
  if (request !== 0) envelope.request = request;
  if (meta !== undefined) envelope.meta = meta as Record<string, unknown>;
  return envelope;
}

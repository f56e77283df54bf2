import { connect, type Socket } from 'node:net';
import { FrameReader } from '../ipc/frames.js';
import { PREAMBLE, mayBePreamble, preamble, readPreamble, unpack, type Identity } from './bus-frames.js';
import { Parcels, type Limit, type Parcel } from './parcels.js';

/** Milliseconds between two attempts to reach a process that should be there, and how many there are. */
const AGAIN = 100;
const ATTEMPTS = 20;

export interface DialedOptions {
  path(): string;
  token: Buffer;
  self: Identity;
  limit: Limit;
  /** An answer: the number of the request, and what comes with it. @throws where it is none */
  answered(answer: readonly unknown[]): void;
  /** The connection is gone, and with it whatever it was asked. */
  lost(requests: readonly number[]): void;
  dropped(parcel: Parcel): void;
  /** It cannot be reached. */
  unreachable(reason: string): void;
}

/**
 * The way from here to one process: what is sent goes there, in order, and answers alone come back. What that process itself
 * sends comes by a connection of its own, so that either side may stop reading what is sent and still hear answers.
 */
export class Dialed {
  readonly parcels: Parcels;
  readonly #options: DialedOptions;
  /** Requests that are not answered. */
  readonly #asked = new Set<number>();
  #socket: Socket | null = null;
  #listens = false;
  #attempts = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DialedOptions) {
    this.#options = options;
    this.parcels = new Parcels(options.limit, (parcel) => {
      if (parcel.request !== undefined) this.#asked.delete(parcel.request);
      options.dropped(parcel);
    });
  }

  /** @throws ClusterError ERR_CLUSTER_NOT_READING, see Parcels */
  send(parcel: Parcel): boolean {
    const goesOn = this.parcels.push(parcel);
    if (parcel.request !== undefined) this.#asked.add(parcel.request);
    if (this.#listens && !this.#socket && this.#timer === undefined) this.#dial();
    return goesOn;
  }

  /** It listens: what waits can go. */
  listens(): void {
    if (this.#listens) return;
    this.#listens = true;
    if (this.parcels.size > 0) this.#dial();
  }

  /** Nobody waits for that answer any more. */
  forget(request: number): void {
    this.#asked.delete(request);
  }

  /** For good. Gives back what has not left. */
  end(): Parcel[] {
    clearTimeout(this.#timer);
    this.#listens = false;
    const rest = this.parcels.takeAll();
    for (const { request } of rest) if (request !== undefined) this.#asked.delete(request);
    // What it has said before its end is still read.
    if (!this.#socket) this.#lose();
    return rest;
  }

  #dial(): void {
    const { path, token, self } = this.#options;
    const socket = this.#socket = connect(path());
    const frames = new FrameReader();
    let failure = '';
    socket.unref();
    socket.once('connect', () => {
      this.#attempts = 0;
      socket.write(preamble(token, self));
      this.parcels.attach(socket);
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        frames.push(chunk);
        for (let body = frames.next(); body; body = frames.next()) this.#answer(unpack(body));
      } catch (error) {
        failure = (error as Error).message;
        socket.destroy();
      }
    });
    socket.on('error', (error) => { failure ||= error.message; });
    socket.once('close', () => {
      this.#socket = null;
      this.parcels.detach();
      this.#lose();
      if (this.#listens && this.parcels.size > 0) this.#again(failure);
    });
  }

  #answer(answer: unknown): void {
    if (!Array.isArray(answer) || !Number.isSafeInteger(answer[0])) throw new Error('it answers with what is no answer');
    this.#asked.delete(answer[0] as number);
    this.#options.answered(answer);
  }

  #again(reason: string): void {
    // Where nobody listens who did, the process has ended, and the roster will say so.
    if (++this.#attempts >= ATTEMPTS && !reason.includes('ECONNREFUSED')) {
      this.#attempts = 0;
      return this.#options.unreachable(reason);
    }
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#listens && !this.#socket) this.#dial();
    }, AGAIN);
  }

  /** What waits here was not sent, and may be answered yet. */
  #lose(): void {
    if (this.#asked.size === 0) return;
    const waiting = new Set(this.parcels.requests());
    const lost = [...this.#asked].filter((request) => !waiting.has(request));
    for (const request of lost) this.#asked.delete(request);
    if (lost.length > 0) this.#options.lost(lost);
  }
}

/** Handlers of one sender that may be unfinished, and the bytes of what they were given, before it is read on. */
const UNFINISHED = 1_000;
const UNFINISHED_BYTES = 8 * 1024 * 1024;
/** Milliseconds for the preamble. */
const PATIENCE = 5_000;

export interface AcceptedOptions {
  token: Buffer;
  limit: Limit;
  /** Takes what it sends; a promise: it is not done with that. `answer` for a request. @throws where it is no message */
  heard(message: unknown, bytes: number, from: Identity, answer: (frame: Buffer) => void): Promise<unknown> | void;
  /** It broke the rules, or has no token, and was cut off. */
  cutOff(reason: string, from: Identity | null): void;
}

/** The way from one process to here. */
export class Accepted {
  readonly #options: AcceptedOptions;
  readonly #socket: Socket;
  readonly #frames = new FrameReader();
  readonly #answers: Parcels;
  #from: Identity | null = null;
  #first: Buffer = Buffer.alloc(0);
  #unfinished = 0;
  #unfinishedBytes = 0;
  #paused = false;
  #hears = false;

  constructor(socket: Socket, options: AcceptedOptions) {
    this.#options = options;
    this.#socket = socket;
    this.#answers = new Parcels(options.limit, () => {});
    socket.unref();
    const timer = setTimeout(() => this.#cutOff('it does not say who it is'), PATIENCE).unref();
    socket.on('error', () => {});
    socket.once('close', () => clearTimeout(timer));
    socket.on('data', (chunk: Buffer) => {
      const rest = this.#from ? chunk : this.#greeted(chunk);
      if (!rest) return;
      clearTimeout(timer);
      this.#frames.push(rest);
      this.#hear();
    });
  }

  get isKnown(): boolean {
    return this.#from !== null;
  }

  /** Before the process ends. */
  flushNow(): void {
    this.#answers.flushNow();
  }

  /** What is to be sent is sent, as far as is known. */
  get isIdle(): boolean {
    return this.#answers.size === 0;
  }

  #greeted(chunk: Buffer): Buffer | null {
    const bytes = this.#first = Buffer.concat([this.#first, chunk]);
    if (!mayBePreamble(bytes)) return this.#cutOff('it does not speak its language');
    if (bytes.length < PREAMBLE) return null;
    this.#from = readPreamble(bytes, this.#options.token);
    if (!this.#from) return this.#cutOff('it has not its token');
    this.#first = Buffer.alloc(0);
    this.#answers.attach(this.#socket);
    return bytes.subarray(PREAMBLE);
  }

  #hear(): void {
    if (this.#hears) return;
    this.#hears = true;
    try {
      for (let body = this.#next(); body; body = this.#next()) this.#take(body);
    } catch (error) {
      this.#cutOff(`it sends what is no message: ${(error as Error).message}`);
    } finally {
      this.#hears = false;
    }
  }

  #next(): Buffer | null {
    const isFull = this.#unfinished >= UNFINISHED || this.#unfinishedBytes >= UNFINISHED_BYTES || !this.#answers.hasRoom;
    if (isFull === this.#paused) return isFull ? null : this.#frames.next();
    this.#paused = isFull;
    if (isFull) {
      this.#socket.pause();
      void this.#answers.room().then(() => this.#hear());
      return null;
    }
    this.#socket.resume();
    return this.#frames.next();
  }

  #take(body: Buffer): void {
    const { length } = body;
    const unfinished = this.#options.heard(unpack(body), length, this.#from as Identity, (frame) => {
      if (!this.#socket.destroyed) this.#answers.push({ frame, request: undefined }, true);
    });
    if (!unfinished) return;
    this.#unfinished++;
    this.#unfinishedBytes += length;
    const done = () => {
      this.#unfinished--;
      this.#unfinishedBytes -= length;
      if (this.#paused && this.#unfinished <= UNFINISHED / 2) this.#hear();
    };
    unfinished.then(done, done);
  }

  #cutOff(reason: string): null {
    if (this.#socket.destroyed) return null;
    this.#socket.destroy();
    this.#options.cutOff(reason, this.#from);
    return null;
  }
}

import { writeSync } from 'node:fs';
import type { Wire } from '../node/wire.js';

/** Bytes that are written in one go when the other side reads again. */
const SLAB = 256 * 1024;
/** Milliseconds that the last words may take while the other side reads what stands before them. */
const LAST_WORDS = 500;

/**
 * What is written and not read yet, in order. A wire gets one piece at a time: the rest waits here, packed, so that many small
 * messages to a process that does not read cost their bytes and no more, and a process that ends knows what has not left.
 */
export class Outbox {
  readonly #wire: Wire;
  #slabs: Buffer[] = [];
  /** Bytes used of the last slab; those before it are full. */
  #used = 0;
  #kept = 0;
  #messages = 0;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** Bytes that the other side has not taken. */
  get size(): number {
    return this.#wire.writableLength + this.#kept;
  }

  /** How many were written since it was empty. */
  get messages(): number {
    return this.#messages;
  }

  write(data: Buffer): void {
    const { size } = this;
    this.#messages = size === 0 ? 1 : this.#messages + 1;
    if (size === 0) this.#wire.write(data, this.#written);
    else this.#keep(data);
  }

  /**
   * For a process that ends: writes past the event loop, after all that has not left yet. `alone`: nothing stood before it, so
   * that the wire can go on. What cannot be written is not: the exit code still tells.
   */
  writeLast(fd: number, last: () => Buffer): 'alone' | 'behind' {
    if (this.#wire.last) {
      this.#wire.last(last());
      return 'alone';
    }
    const rest = this.#rest();
    try {
      const deadline = Date.now() + LAST_WORDS;
      if (rest) for (const piece of [...rest, last()]) writeNow(fd, piece, deadline);
    } catch {
      // The master is gone or does not read.
    }
    return rest && rest.length > 0 ? 'behind' : 'alone';
  }

  /** What has not left; null where that cannot be told. */
  #rest(): Buffer[] | null {
    if (this.size === 0) return [];
    const first = this.#wire.unsent?.();
    return first ? [first, ...this.#slabs.map((slab, at) => (at === this.#slabs.length - 1 ? slab.subarray(0, this.#used) : slab))] : null;
  }

  #keep(data: Buffer): void {
    this.#kept += data.length;
    for (let at = 0; at < data.length;) {
      let slab = this.#slabs.at(-1);
      if (!slab || this.#used === slab.length) {
        this.#slabs.push(slab = Buffer.allocUnsafeSlow(SLAB));
        this.#used = 0;
      }
      const copied = data.copy(slab, this.#used, at);
      this.#used += copied;
      at += copied;
    }
  }

  readonly #written = (): void => {
    if (this.#kept === 0 || !this.#wire.writable || this.#wire.writableLength > 0) return;
    const slab = this.#slabs.shift() as Buffer;
    const next = this.#slabs.length === 0 ? slab.subarray(0, this.#used) : slab;
    this.#kept -= next.length;
    this.#wire.write(next, this.#written);
  };
}

/** The descriptor does not block: a full pipe is waited for. */
function writeNow(fd: number, data: Buffer, deadline: number): void {
  for (let at = 0; at < data.length;) {
    try {
      at += writeSync(fd, data, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || Date.now() > deadline) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

import { Socket } from 'node:net';
import { HandlePipe, bytesOf, connected, natives, type NativePipe } from './handle-pipe.js';
import { slowPath } from './slow-paths.js';

/** What carries the bytes of a channel: a net.Socket in the master, less than that in a child. */
export interface Wire {
  readonly writable: boolean;
  /** Bytes that the other side has not taken. */
  readonly writableLength: number;
  /** A child's end has no 'error', as every failure is its end. */
  on(event: 'data' | 'error' | 'close' | 'end', listener: (chunk: Buffer) => void): unknown;
  /** One at a time: `written` is called when it has left, unless that was at once, which `writableLength` tells. */
  write(data: Buffer, written: () => void): unknown;
  /** What has not left yet of what was written last; a net.Socket does not tell it. */
  unsent?(): Buffer;
  /** Of one that has no descriptor, as both its ends are in this process: writes what is said right before the end. */
  last?(data: Buffer): void;
  ref(): unknown;
  unref(): unknown;
  /** Nothing is read until `resume`. */
  pause?(): unknown;
  resume?(): unknown;
  destroy(): unknown;
}

/** A descriptor as a wire; without net.Socket, whose streams cost each start a millisecond, where Node lets us. */
export function openWire(fd: number): Wire {
  try {
    return new PipeWire(fd);
  } catch (error) {
    slowPath(`a child's channel is a net.Socket, a millisecond more at each start: ${(error as Error).message}`);
    return new Socket({ fd, readable: true, writable: true });
  }
}

class PipeWire implements Wire {
  writable = true;
  readonly #pipe: NativePipe;
  #last: Buffer = Buffer.alloc(0);
  #data: (chunk: Buffer) => void = () => {};
  #closed: (chunk: Buffer) => void = () => {};

  constructor(fd: number) {
    const { Pipe, constants } = natives();
    const pipe = this.#pipe = new Pipe(constants.SOCKET);
    pipe.open(fd);
    pipe.onread = (data) => {
      if (data) this.#data(bytesOf(data));
      else this.destroy();
    };
    pipe.readStart();
  }

  on(event: 'data' | 'error' | 'close' | 'end', listener: (chunk: Buffer) => void): void {
    if (event === 'data') this.#data = listener;
    else if (event === 'close') this.#closed = listener;
  }

  get writableLength(): number {
    return this.writable ? this.#pipe.writeQueueSize : 0;
  }

  write(data: Buffer, written: () => void): void {
    if (!this.writable) return;
    const request = Object.assign(new (natives().WriteWrap)(), { oncomplete: written });
    this.#last = data;
    if (this.#pipe.writeBuffer(request, data) !== 0) this.destroy();
  }

  unsent(): Buffer {
    return this.#last.subarray(this.#last.length - this.#pipe.writeQueueSize);
  }

  ref(): void {
    this.#pipe.ref();
  }

  unref(): void {
    this.#pipe.unref();
  }

  destroy(): void {
    if (!this.writable) return;
    this.writable = false;
    this.#pipe.close();
    process.nextTick(this.#closed);
  }
}

/** Bytes go through, and the end of the other side. */
export async function probe(): Promise<string | null> {
  // A pipe for handles keeps no process up.
  const stay = setInterval(() => {}, 100);
  try {
    return await probeBytes();
  } catch (error) {
    return `no pipe can be opened on a descriptor: ${(error as Error).message}`;
  } finally {
    clearInterval(stay);
  }
}

async function probeBytes(): Promise<string | null> {
  const { ours, theirs } = await connected();
  const wire = new PipeWire(theirs.fd as number);
  const echo = new Promise<string>((resolve) => wire.on('data', (data) => resolve(data.toString())));
  const closed = new Promise<unknown>((resolve) => wire.on('close', resolve));
  const there = new HandlePipe(ours, (text) => there.send(text), () => {});
  wire.write(Buffer.from('bytes'), () => {});
  if (await echo !== 'bytes') return 'a pipe opened on a descriptor does not carry bytes';
  there.close();
  await closed;
  return wire.writable ? 'a pipe opened on a descriptor does not tell the end of the other side' : null;
}

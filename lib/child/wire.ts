import { Socket } from 'node:net';
import type { Wire } from '../ipc/channel.js';
import { natives, type NativePipe } from '../node/handle-pipe.js';

/** A descriptor as a channel's wire; without net.Socket, whose streams cost each start a millisecond, where Node lets us. */
export function openWire(fd: number): Wire {
  try {
    natives();
  } catch {
    return new Socket({ fd, readable: true, writable: true });
  }
  return new PipeWire(fd);
}

class PipeWire implements Wire {
  writable = true;
  readonly #pipe: NativePipe;
  #data: (chunk: Buffer) => void = () => {};
  #closed: (chunk: Buffer) => void = () => {};

  constructor(fd: number) {
    const { Pipe, constants } = natives();
    const pipe = this.#pipe = new Pipe(constants.SOCKET);
    pipe.open(fd);
    pipe.onread = (data) => {
      if (data) this.#data(Buffer.from(data));
      else this.destroy();
    };
    pipe.readStart();
  }

  on(event: 'data' | 'error' | 'close' | 'end', listener: (chunk: Buffer) => void): void {
    if (event === 'data') this.#data = listener;
    else if (event === 'close') this.#closed = listener;
  }

  write(data: Buffer): void {
    const request = Object.assign(new (natives().WriteWrap)(), { data });
    if (this.writable && this.#pipe.writeBuffer(request, data) !== 0) this.destroy();
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

import { mkdtempSync, rmSync } from 'node:fs';
import net, { Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { listen } from '../kit/sockets.js';
import { handleOf, ownPort, type RawHandle } from './raw-sockets.js';
import { slowPath } from './slow-paths.js';

/** libuv's pipe as Node wraps it: net.Socket can neither send a handle nor receive one. */
export interface NativePipe extends RawHandle {
  /** Bytes that the kernel has not taken. */
  readonly writeQueueSize: number;
  bind(file: string): number;
  listen(backlog: number): number;
  connect(request: object, file: string): number;
  open(fd: number): number;
  readStart(): number;
  ref(): void;
  unref(): void;
  writeBuffer(request: object, data: Buffer): number;
  writeUtf8String(request: object, text: string, handle?: RawHandle): number;
  onread: (data?: ArrayBuffer) => void;
  pendingHandle?: RawHandle | null;
}

interface Natives {
  Pipe: new (type: number) => NativePipe;
  PipeConnectWrap: new () => { oncomplete?: (status: number) => void };
  WriteWrap: new () => { oncomplete?: (status: number) => void };
  constants: { SOCKET: number; SERVER: number; IPC: number };
}

let loaded: Natives | undefined;

/** What node:child_process builds its channels from. @throws where Node's permission model keeps it shut. */
const natives = (): Natives => loaded ??= load();

function load(): Natives {
  const { binding, noDeprecation } = process as unknown as { binding(name: string): object; noDeprecation?: boolean };
  // With --pending-deprecation every process would warn of us (DEP0111).
  process.noDeprecation = true;
  try {
    return { ...binding('pipe_wrap'), ...binding('stream_wrap') } as Natives;
  } finally {
    process.noDeprecation = noDeprecation;
  }
}

/**
 * A pipe between two processes that carries handles, one a message and one message at a time: the other side answers before
 * the next is sent, so that nothing has to be framed.
 */
export class HandlePipe {
  readonly #pipe: NativePipe;
  #open = true;

  /** `received`: a message, and the handle that came with it. `ended`: the other side is gone; all that it said has been received. */
  constructor(pipe: NativePipe, received: (text: string, handle: RawHandle | null) => void, ended: () => void) {
    this.#pipe = pipe;
    pipe.onread = (data) => {
      const handle = pipe.pendingHandle ?? null;
      pipe.pendingHandle = null;
      if (data) return received(Buffer.from(data).toString(), handle);
      if (!this.#open) return;
      this.close();
      ended();
    };
    pipe.readStart();
    // Whatever keeps the process up, it is not this.
    pipe.unref();
  }

  /** In the process that `theirs` of a pair was sent to. What came is no pipe for handles, so its descriptor is opened as one. The first
   * is never closed: the two would close the same descriptor, and both live as long as this process. */
  static of(came: RawHandle, received: (text: string, handle: RawHandle | null) => void, ended: () => void): HandlePipe {
    return new HandlePipe(openIpc(came), received, ended);
  }

  /** False when the other side is gone. */
  send(text: string, handle?: RawHandle): boolean {
    if (!this.#open) return false;
    const { WriteWrap } = natives();
    return this.#pipe.writeUtf8String(new WriteWrap(), text, handle) === 0;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#pipe.close();
  }
}

/** Another handle, one that carries handles, for the descriptor of what came as a plain pipe. */
export function openIpc({ fd }: RawHandle): NativePipe {
  const { Pipe, constants } = natives();
  const pipe = new Pipe(constants.IPC);
  pipe.open(fd as number);
  return pipe;
}

/** Sends a handle at once, or not at all. */
export const passHandle = (pipe: NativePipe, handle: RawHandle): boolean =>
  pipe.writeUtf8String(new (natives().WriteWrap)(), ' ', handle) === 0 && pipe.writeQueueSize === 0;

export interface PipePair {
  ours: NativePipe;
  /** To be sent to the other process, and closed here. */
  theirs: RawHandle;
}

/**
 * Two connected ends of a pipe for handles. Node has no socketpair(), so one end connects to a socket in a directory of our
 * own, which is gone again in the same turn of the event loop. Null where there is no such place or no such pipe (Windows,
 * Node's permission model).
 */
export async function pipePair(): Promise<PipePair | null> {
  try {
    if (process.platform === 'win32') throw new Error('not on Windows');
    return await connected();
  } catch (error) {
    slowPath(`connections reach workers over Node's own channel, as there can be no pipe for them: ${(error as Error).message}`);
    return null;
  }
}

function connected(): Promise<PipePair> {
  const { Pipe, PipeConnectWrap, constants } = natives();
  const dir = passingDir();
  const server = new Pipe(constants.SERVER);
  const ours = new Pipe(constants.IPC);
  try {
    const file = path.join(dir, 's');
    const failed = server.bind(file) || server.listen(1) || ours.connect(new PipeConnectWrap(), file);
    if (failed) throw new Error(`error ${failed}`);
  } catch (error) {
    server.close();
    ours.close();
    throw error;
  } finally {
    remove(dir);
  }
  return new Promise((resolve, reject) => {
    server.onconnection = (error, theirs) => {
      server.close();
      if (!error && theirs) return resolve({ ours, theirs });
      ours.close();
      reject(new Error(`error ${error}`));
    };
  });
}

/** Somebody may have taken the temporary directory of this process away. */
function passingDir(): string {
  let reason: unknown;
  for (const place of new Set([os.tmpdir(), '/tmp', '/var/tmp'])) {
    try {
      return mkdtempSync(path.join(place, 'ht-'));
    } catch (error) {
      reason ??= error;
    }
  }
  throw reason;
}

/** What stays of it is an empty directory; the pair would be lost with its descriptors. */
function remove(dir: string): void {
  try {
    rmSync(dir, { recursive: true, force: true });
  } catch {
    // No descriptor is left to look into it, say.
  }
}

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
      if (data) this.#data(Buffer.from(data));
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

/** A listening handle goes through a pair and is answered; bytes go through a wire, and then its end. */
export async function probe(): Promise<string | null> {
  try {
    natives();
  } catch (error) {
    return `\`process.binding\` gives no pipes: ${(error as Error).message}`;
  }
  // A pipe for handles keeps no process up.
  const stay = setInterval(() => {}, 100);
  const server = net.createServer();
  try {
    await listen(server, { port: 0, host: '127.0.0.1' });
    return await probeHandles(server) ?? await probeWire();
  } finally {
    server.close();
    clearInterval(stay);
  }
}

async function probeHandles(server: net.Server): Promise<string | null> {
  const { ours, theirs } = await connected();
  const wanted = `port ${(server.address() as net.AddressInfo).port}`;
  let ended: () => void = () => {};
  const gone = new Promise<void>((resolve) => { ended = resolve; });
  const there = HandlePipe.of(theirs, (text, handle) => there.send(`${text} ${handle ? ownPort(handle) : 'without its handle'}`), ended);
  const came = await new Promise<string>((resolve) => {
    const here = new HandlePipe(ours, (text) => {
      here.close();
      resolve(text);
    }, () => resolve('its end'));
    here.send('port', handleOf(server) as RawHandle);
  });
  await gone;
  return came === wanted ? null : `of a handle sent through a pipe ("${wanted}") came "${came}"`;
}

async function probeWire(): Promise<string | null> {
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

import { mkdtempSync, rmdirSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { getSystemErrorName } from 'node:util';
import { isShort } from '../kit/processes.js';
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
  /** What is read goes there, and is read from there before `onread` returns. */
  useUserBuffer(buffer: Uint8Array): void;
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
  streamBaseState: Int32Array;
  /** What of it says how much was read, or why nothing was; and whether a write goes on after its call. */
  kReadBytesOrError: number;
  kLastWriteWasAsync: number;
}

let loaded: Natives | undefined;

/** What node:child_process builds its channels from. @throws where Node's permission model keeps it shut. */
export const natives = (): Natives => loaded ??= load();

/** What a read has brought. Node 26 gives a larger ArrayBuffer than that, and says beside it how much of it is meant, and where. */
export function bytesOf(data: ArrayBuffer): Buffer {
  const { streamBaseState: [length = data.byteLength, at = 0] } = natives();
  return Buffer.from(data, at, length);
}

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

/** So much libuv reads at once. */
const READ = 65_536;
/** Of all pipes of this process, as each message is taken out before the next is read: an ArrayBuffer for each would be half its cost. */
let buffer: Buffer | undefined;

/**
 * A pipe between two processes that carries handles, one a message and one message at a time: the other side answers before
 * the next is sent, so that nothing has to be framed.
 */
export class HandlePipe {
  readonly #pipe: NativePipe;
  #open = true;
  /** For the next write: one that was done at once has left it as it was. */
  #request: object | undefined;

  /** `received`: a message, and the handle that came with it. `ended`: the other side is gone; all that it said has been received. */
  constructor(pipe: NativePipe, received: (text: string, handle: RawHandle | null) => void, ended: () => void) {
    this.#pipe = pipe;
    const { streamBaseState, kReadBytesOrError } = natives();
    const read = buffer ??= Buffer.allocUnsafeSlow(READ);
    pipe.useUserBuffer(read);
    pipe.onread = () => {
      const handle = pipe.pendingHandle ?? null;
      pipe.pendingHandle = null;
      const length = streamBaseState[kReadBytesOrError] ?? 0;
      // Anything but undefined would be the buffer to read into next.
      if (length > 0) received(read.toString('utf8', 0, length), handle);
      else if (this.#open) {
        this.close();
        ended();
      }
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
    const { WriteWrap, streamBaseState, kLastWriteWasAsync } = natives();
    const failed = this.#pipe.writeUtf8String(this.#request ??= new WriteWrap(), text, handle);
    if (streamBaseState[kLastWriteWasAsync] !== 0) this.#request = undefined;
    return failed === 0;
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
    // That passes.
    if (isShort(error)) return null;
    slowPath(`connections reach workers over Node's own channel, as there can be no pipe for them: ${(error as Error).message}`);
    return null;
  }
}

export function connected(): Promise<PipePair> {
  const { Pipe, PipeConnectWrap, constants } = natives();
  const server = new Pipe(constants.SERVER);
  const ours = new Pipe(constants.IPC);
  const request = new PipeConnectWrap();
  let dir: string | undefined;
  try {
    dir = passingDir();
    const file = path.join(dir, 's');
    const failed = server.bind(file) || server.listen(1) || ours.connect(request, file);
    if (failed) throw failure(failed);
  } catch (error) {
    server.close();
    ours.close();
    throw error;
  } finally {
    if (dir !== undefined) remove(dir);
  }
  return new Promise((resolve, reject) => {
    let isOver = false;
    const end = (status: number, theirs?: RawHandle) => {
      if (isOver) return;
      isOver = true;
      server.close();
      if (theirs) return resolve({ ours, theirs });
      ours.close();
      reject(failure(status || EMFILE));
    };
    server.onconnection = (error, theirs) => end(error, theirs);
    request.oncomplete = (status) => {
      if (status < 0) return end(status);
      // At the limit of descriptors libuv accepts, closes and says nothing (uv__emfile_trick). Both ends are told of in one turn.
      setImmediate(() => setImmediate(() => end(EMFILE)));
    };
  });
}

const EMFILE = -os.constants.errno.EMFILE;

/** `status`: libuv's. */
function failure(status: number): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(code), { code });
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

/** Without looking into it, for which no descriptor may be left. */
function remove(dir: string): void {
  for (const gone of [() => unlinkSync(path.join(dir, 's')), () => rmdirSync(dir)]) {
    try {
      gone();
    } catch {
      // It was never made, or somebody has taken it away.
    }
  }
}

/** A listening handle goes through a pair and is answered. */
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
    return await probeHandles(server);
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

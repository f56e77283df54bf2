import type { RawHandle } from './raw-handle.js';

/** libuv's pipe as Node wraps it: net.Socket can neither send a handle nor receive one. */
export interface NativePipe extends RawHandle {
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
export function natives(): Natives {
  return loaded ??= load();
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

/** A byte each, from worker to master. */
export const OPEN = 'o';
export const TAKEN = 't';
export const REFUSED = 'r';

/** A worker's message of Node's channel that brings its end of the pipe; internal, like held-socket's. */
export const PIPE_FOR_CONNECTIONS = 'NODE_HATCHERY_PIPE';

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

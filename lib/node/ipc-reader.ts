import { fork, type ChildProcess } from 'node:child_process';
import { writeSync } from 'node:fs';
import { isInternal, type ClusterMessage } from './cluster.js';
import type { RawHandle } from './raw-sockets.js';
import { bytesOf, natives } from './handle-pipe.js';
import { slowPath } from './slow-paths.js';

/** Node's end of its own channel to another process. */
interface IpcPipe extends RawHandle {
  onread: (data?: ArrayBuffer) => void;
  pendingHandle?: RawHandle | null;
  readonly writeQueueSize: number;
  readStart(): number;
}

type Target = ChildProcess | NodeJS.Process;
type Emitting = {
  emit(event: string, message: unknown, handle?: RawHandle): boolean;
  _send(message: object, handle: null, swallowsErrors: boolean): boolean;
};
/** What waits until the other side has acknowledged a handle. */
type Queueing = { _handleQueue?: unknown[] | null };

/** A text: what is wrong with a message; false: nobody is to hear it; else what is answered, and what is heard in its place. */
export type Verdict = boolean | string | { answer: object; heard?: unknown };

/** How one process listens on Node's channel to another that it does not trust. */
export interface IpcGuard {
  /** Bytes that a message may have. */
  longest: number;
  /** Milliseconds of one turn of the event loop that its messages may take. */
  slice: number;
  /** Looks at a message before anybody hears it. */
  admit(message: unknown, handle: RawHandle | undefined): Verdict;
  /** After a slice; a text is what is wrong with all of it. */
  took(messages: number, bytes: number): string | null;
  /** It has broken the rules; nothing more of it is heard here. */
  misused(reason: string): void;
}

/** Answers and acknowledgements that it may leave unread, bytes, and how many behind a handle that it does not take. */
const UNREAD = 4 * 1024 * 1024;
const UNTAKEN = 10_000;

/** Node's pipe to that process, null where there is none. */
function pipeTo(target: Target): IpcPipe | null {
  const symbol = Object.getOwnPropertySymbols(target).find(({ description }) => description === 'kChannelHandle');
  return (symbol && (target as unknown as Record<symbol, IpcPipe | null>)[symbol]) ?? null;
}

/** Bytes that a process has not read from Node's channel. */
export const unreadOn = (target: Target): number => pipeTo(target)?.writeQueueSize ?? 0;

/** Node has sent a handle and waits until the other side has it: everything else waits behind it. */
export const awaitsHandle = (target: Target): boolean => Array.isArray((target as Queueing)._handleQueue);

/** Cuts bytes into lines; of one that is not whole it keeps what has come, in one piece. */
class Lines {
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;
  #part: Buffer = Buffer.alloc(0);
  #length = 0;

  push(chunk: Buffer): void {
    this.#chunk = this.#at < this.#chunk.length ? Buffer.concat([this.#chunk.subarray(this.#at), chunk]) : chunk;
    this.#at = 0;
  }

  /** @throws Error where one is longer */
  next(longest: number): string | null {
    const end = this.#chunk.indexOf(10, this.#at);
    const piece = this.#chunk.subarray(this.#at, end < 0 ? undefined : end);
    this.#at += piece.length + (end < 0 ? 0 : 1);
    if (this.#length + piece.length > longest) throw new Error(`one of more than ${longest} bytes`);
    if (end >= 0 && this.#length === 0) return piece.toString();
    if (this.#length + piece.length > this.#part.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(4_096, 2 * (this.#length + piece.length)));
      this.#part.copy(larger, 0, 0, this.#length);
      this.#part = larger;
    }
    this.#length += piece.copy(this.#part, this.#length);
    if (end < 0) return null;
    const line = this.#part.toString('utf8', 0, this.#length);
    this.#length = 0;
    if (this.#part.length > 65_536) this.#part = Buffer.alloc(0);
    return line;
  }
}

/** In the place of Node's own reader, which throws at what it does not expect, and keeps whatever comes. */
class IpcReader {
  readonly #target: Target;
  readonly #pipe: IpcPipe;
  readonly #guard: IpcGuard;
  readonly #node: IpcPipe['onread'];
  readonly #lines = new Lines();
  /** What came along, until its message does. */
  #handle: RawHandle | null = null;
  #over = false;
  /** Null until something has come. */
  #isJson: boolean | null = null;

  constructor(target: Target, pipe: IpcPipe, guard: IpcGuard) {
    this.#target = target;
    this.#pipe = pipe;
    this.#guard = guard;
    this.#node = pipe.onread;
    pipe.onread = (data) => this.#read(data);
  }

  #read(data: ArrayBuffer | undefined): void {
    const { pendingHandle: handle } = this.#pipe;
    this.#pipe.pendingHandle = null;
    if (!data || this.#over) {
      handle?.close();
      this.#handle?.close();
      this.#handle = null;
      if (!data) this.#leaveToNode(data);
      return;
    }
    // In Node's other format, which a parent process may have chosen, a length comes first, and no JSON begins with a zero.
    this.#isJson ??= new Uint8Array(data)[0] !== 0;
    if (!this.#isJson) {
      this.#pipe.pendingHandle = handle ?? null;
      return this.#leaveToNode(data);
    }
    if (handle && this.#handle) handle.close();
    else if (handle) this.#handle = handle;
    if (handle && this.#handle !== handle) return this.#misuse('it sends handles without messages');
    const bytes = bytesOf(data);
    this.#lines.push(bytes);
    this.#hear(bytes.length);
  }

  #hear(bytes: number): void {
    const began = performance.now();
    let heard = 0;
    let late = false;
    for (let message = this.#next(); message !== undefined; message = this.#next()) {
      this.#tell(message);
      heard++;
      late = performance.now() - began > this.#guard.slice;
      if (late) break;
    }
    if (this.#over) return;
    const wrong = this.#guard.took(heard, bytes) ?? this.#unread();
    if (wrong) return this.#misuse(wrong);
    if (!late) return;
    this.#pipe.readStop?.();
    setImmediate(() => {
      // Its end, too, has to be read.
      if (pipeTo(this.#target) === this.#pipe) this.#pipe.readStart();
      if (!this.#over) this.#hear(0);
    });
  }

  #unread(): string | null {
    const { _handleQueue: queue } = this.#target as Queueing;
    const unread = this.#pipe.writeQueueSize > UNREAD || (queue?.length ?? 0) > UNTAKEN;
    return unread ? 'it asks, and does not read the answers' : null;
  }

  #next(): unknown {
    if (this.#over) return undefined;
    try {
      const line = this.#lines.next(this.#guard.longest);
      return line === null ? undefined : JSON.parse(line) as unknown;
    } catch (error) {
      return this.#misuse(`it sends what is no message: ${(error as Error).message}`);
    }
  }

  #tell(message: unknown): void {
    const internal = isInternal(message);
    const handle = internal && message.cmd === 'NODE_HANDLE' ? this.#handle ?? undefined : undefined;
    if (handle) this.#handle = null;
    const verdict = this.#guard.admit(message, handle);
    if (verdict !== true) handle?.close();
    if (typeof verdict === 'string') return this.#misuse(verdict);
    if (typeof verdict === 'object') {
      this.#emit((target) => target._send(verdict.answer, null, true));
      if ('heard' in verdict) this.#emit((target) => target.emit('message', verdict.heard));
    } else if (verdict) {
      this.#emit((target) => target.emit(internal ? 'internalMessage' : 'message', message, handle), internal);
    }
  }

  #emit(emit: (target: Emitting) => unknown, internal = false): void {
    try {
      emit(this.#target as unknown as Emitting);
    } catch (error) {
      // Of a listener that is not Node's it is no fault of the other side.
      if (internal) this.#misuse(`Node fails at what it sends: ${(error as Error).message.split('\n', 1)[0]}`);
      else process.nextTick(() => { throw error; });
    }
  }

  #leaveToNode(data: ArrayBuffer | undefined): void {
    try {
      Reflect.apply(this.#node, this.#pipe, [data]);
    } catch (error) {
      this.#misuse(`Node fails at what it sends: ${(error as Error).message}`);
    }
  }

  #misuse(reason: string): undefined {
    if (this.#over) return;
    this.#over = true;
    this.#handle?.close();
    this.#handle = null;
    this.#guard.misused(reason);
  }
}

/**
 * Looks at all that comes over Node's channel before Node does. Its end is Node's to handle. To be called before anything of
 * a message can have come.
 */
export function guardIpc(target: Target, guard: IpcGuard): void {
  if (!target.channel) return;
  try {
    const pipe = pipeTo(target);
    if (typeof pipe?.onread !== 'function') throw new Error('it does not show them');
    // Without them nobody can tell how much of a read is meant (bytesOf).
    natives();
    new IpcReader(target, pipe, guard);
  } catch (error) {
    slowPath(`what a child says on Node's own channel is not looked at before Node does: ${(error as Error).message}`);
  }
}

/** Messages of both kinds pass, one that is none is misuse, and the end comes through. */
export async function probe(): Promise<string | null> {
  const child = fork(import.meta.filename, [], { env: { ...process.env, [PROBED]: '1' }, execArgv: process.execArgv });
  const seen: unknown[] = [];
  try {
    const misused = new Promise<string>((resolve) => guardIpc(child, {
      longest: 1_000, slice: 5, took: () => null, misused: resolve,
      admit: (message) => {
        seen.push((message as ClusterMessage).cmd ?? message);
        return true;
      },
    }));
    const heard = new Promise((resolve) => child.once('message', resolve));
    if (!pipeTo(child)) return '`ChildProcess` has no `kChannelHandle`';
    const left = new Promise((resolve) => child.once('disconnect', resolve));
    if (await heard !== 'plain') return 'a message does not come through a reader of our own';
    const reason = await misused;
    if (!reason.includes('no message')) return `a line that is no message was taken for one: ${reason}`;
    child.kill('SIGKILL');
    await left;
    return seen.join() === 'NODE_PROBE,plain' ? null : `a reader of our own has seen "${seen.join()}"`;
  } finally {
    child.kill('SIGKILL');
  }
}

/** Set for the process that the probe forks. */
const PROBED = 'HATCHERY_PROBE_IPC';

/** What that process does in the same file; false in the first one. */
export function playPart(): boolean {
  if (!process.env[PROBED]) return false;
  process.send?.({ cmd: 'NODE_PROBE' });
  process.send?.('plain', () => { writeSync(pipeTo(process)?.fd ?? -1, 'none\n'); });
  return true;
}

import fs, { closeSync, fstatSync, writeSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { openLog, type LogPaths } from '../kit/log-files.js';
import type { LogOutput } from '../kit/logger.js';
import { ownOutput, type OwnOutput } from '../node/own-output.js';
import { whenMade } from '../node/process.js';

/** How often is looked whether all is read, ms. */
const LOOK = 10;
/** Bytes of the app's own lines that nobody has read yet: behind more of them a line of ours is dropped. */
const MOST = 1024 * 1024;

const NAMES = { 1: 'stdout', 2: 'stderr' } as const;
const OTHER = { 1: 2, 2: 1 } as const;
const made = new Map<1 | 2, NodeJS.WriteStream>();
/** Ours stands in its place where the master writes the log. */
const originalWrite = writeSync;
const dropped = { 1: 0, 2: 0 };

/**
 * Once, at the beginning. A server whose output nobody reads any more (`| head`, a terminal that was closed) serves on: EPIPE
 * would end it at its next line.
 */
export function watchOutput(): void {
  for (const fd of [1, 2] as const) {
    whenMade(NAMES[fd], (stream) => {
      made.set(fd, stream);
      stream.on('error', () => {});
      if (writers) writeBy(stream, writers[fd]);
    });
  }
}

interface Writer { write(bytes: Buffer): void }

/** Where what is printed goes, if not to the descriptors. */
let writers: Readonly<Record<1 | 2, Writer>> | null = null;
let pipes: Readonly<Record<1 | 2, Pipe>> | null = null;

/**
 * From here on what is printed, by streams, by `fs.writeSync` and by our log, goes to the master's pipe and, where it does not read,
 * to the log file itself.
 */
export function throughMaster(files: LogPaths): void {
  const err = new Pipe(2, files.err);
  // One file: what is printed on both keeps its order.
  pipes = { 1: files.out === files.err ? err : new Pipe(1, files.out), 2: err };
  writeAllBy(pipes);
  process.on('exit', () => { for (const pipe of new Set(Object.values(pipes ?? {}))) pipe.end(); });
}

/** The same where the master is this very process: it knows the log files that are open, and writes to their descriptors. */
export function printBy(print: (which: 'out' | 'err', bytes: Buffer) => void): void {
  writeAllBy({ 1: { write: (bytes) => print('out', bytes) }, 2: { write: (bytes) => print('err', bytes) } });
}

function writeAllBy(all: Readonly<Record<1 | 2, Writer>>): void {
  writers = all;
  for (const [fd, stream] of made) writeBy(stream, all[fd]);
  writeSyncBy(all);
}

/** The master is gone, or just going: its channel may be closed a moment before its end of the pipes, which nobody reads then. */
export function pastMaster(): void {
  for (const pipe of new Set(Object.values(pipes ?? {}))) pipe.leave();
}

function writeBy(stream: NodeJS.WriteStream, writer: Writer): void {
  stream._write = (chunk: string | Buffer, encoding, done) => {
    writer.write(typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk);
    done();
  };
  Reflect.set(stream, '_writev', null);
}

/** Loggers (pino's, for one) write so, and try again for ever where a pipe is full: a worker would hang with its master. */
function writeSyncBy(to: Readonly<Record<1 | 2, Writer>>): void {
  const original = fs.writeSync;
  // A writer may have no other descriptor than these.
  let inside = false;
  const own = function writeSync(fd: number, data: unknown, ...rest: unknown[]): number {
    const bytes = !inside && (fd === 1 || fd === 2) ? bytesOf(data, rest) : null;
    if (bytes === null) return Reflect.apply(original as (...args: unknown[]) => number, fs, [fd, data, ...rest]);
    inside = true;
    try {
      to[fd as 1 | 2].write(bytes);
    } finally {
      inside = false;
    }
    return bytes.length;
  };
  fs.writeSync = own as typeof original;
  syncBuiltinESMExports();
}

/** Null: given in a way that is better left to Node, whose errors it has. */
function bytesOf(data: unknown, [first, second, third]: readonly unknown[]): Buffer | null {
  if (typeof data === 'string') return Buffer.from(data, typeof second === 'string' ? second as BufferEncoding : undefined);
  if (!(data instanceof Uint8Array) || typeof (third ?? 0) !== 'number') return null;
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (first === undefined || first === null) return bytes;
  if (typeof first !== 'number' || typeof (second ?? 0) !== 'number') return null;
  return bytes.subarray(first, second === undefined || second === null ? undefined : first + (second as number));
}

/** A child's log: at once where that can be, else behind what the app has written and nobody has read yet, never inside it. */
export const logOutput: LogOutput = {
  write(line, urgent, lost) {
    const fd = urgent ? 2 : 1;
    if (writers) {
      writers[fd].write(Buffer.from(line));
      return;
    }
    const busy = waiting(fd) > 0 ? fd : waiting(OTHER[fd]) > 0 && samePipe() ? OTHER[fd] : null;
    if (busy !== null && waiting(busy) > MOST) {
      dropped[fd]++;
      return;
    }
    const due = dropped[fd] > 0 ? lost(`${dropped[fd]} log entries dropped here: nobody read them`) : '';
    dropped[fd] = 0;
    const bytes = Buffer.from(due + line);
    const rest = busy === null ? bytes.subarray(writeNow(fd, bytes)) : bytes;
    if (rest.length > 0) process[NAMES[busy ?? fd]].write(rest);
  },
};

/** Bytes that are kept until somebody reads. */
const waiting = (fd: 1 | 2): number => made.get(fd)?.writableLength ?? 0;

/** `2>&1`. */
function samePipe(): boolean {
  // With bigint, for what require() makes of the last figures of a pipe (docs/decisions/node-facts.md, 36).
  const [out, err] = [fstatSync(1, { bigint: true }), fstatSync(2, { bigint: true })];
  return out.ino === err.ino && out.dev === err.dev;
}

/** How much of it the pipe takes; all of it where nobody will ever read it. */
function writeNow(fd: number, bytes: Buffer): number {
  let written = 0;
  try {
    while (written < bytes.length) written += originalWrite(fd, bytes, written);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return bytes.length;
  }
  return written;
}

/** Somebody still has to read what this process has written. */
export const outputWaits = (): boolean => [...made.values()].some((stream) => !stream.destroyed && stream.writableLength > 0);

/** Resolves when all has reached who reads, or after `limit` ms. */
export async function outputRead(limit: number): Promise<void> {
  const until = performance.now() + limit;
  while (outputWaits() && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, LOOK));
}

/** Milliseconds that a line waits for the master, where the one before it has not; then it is stopped, or gone. */
const PATIENCE = 400;
const pause = new Int32Array(new SharedArrayBuffer(4));
const NOTHING: Buffer = Buffer.alloc(0);

/**
 * A pipe that the master reads. Nothing is kept in this process, which may be killed: what the pipe does not take goes to the log
 * file at once, before what is in the pipe (test/cli/log-pipes.test.ts).
 */
class Pipe {
  readonly #fd: 1 | 2;
  readonly #file: string;
  readonly #way: OwnOutput | null;
  #stalled = false;
  #left = false;
  /** Of a line that the pipe has taken a part of, and that line. */
  #rest: Buffer = NOTHING;
  #line: Buffer = NOTHING;

  constructor(fd: 1 | 2, file: string) {
    this.#fd = fd;
    this.#file = file;
    this.#way = ownOutput(fd);
  }

  /** Never throws, and waits 400 ms at most, once. */
  write(bytes: Buffer): void {
    if (this.#rest.length > 0) this.#rest = this.#put(this.#rest);
    const rest = this.#rest.length > 0 ? bytes : this.#put(bytes);
    if (rest.length === 0) return;
    const begun = bytes.length - rest.length;
    if (begun === 0) return this.#past(bytes);
    const end = rest.indexOf(10) + 1 || rest.length;
    this.#line = Buffer.from(bytes.subarray(bytes.subarray(0, begun).lastIndexOf(10) + 1, begun + end));
    this.#rest = Buffer.from(rest.subarray(0, end));
    if (end < rest.length) this.#past(rest.subarray(end));
  }

  /** From here on everything goes to the file. */
  leave(): void {
    this.#left = true;
    this.end();
  }

  /** The end of this process: who reads the pipe has the begin of that line, or is gone. */
  end(): void {
    if (this.#rest.length > 0 && this.#put(this.#rest).length > 0) this.#past(this.#line);
    this.#rest = NOTHING;
  }

  /** Returns what it does not take. */
  #put(bytes: Buffer): Buffer {
    if (this.#left) return bytes;
    const until = performance.now() + (this.#stalled ? 0 : PATIENCE);
    for (let rest = bytes; ;) {
      this.#way?.ready();
      try {
        rest = rest.subarray(originalWrite(this.#fd, rest));
        if (rest.length > 0) continue;
        this.#stalled = false;
        return rest;
      } catch (error) {
        const waits = (error as NodeJS.ErrnoException).code === 'EAGAIN' && performance.now() < until;
        if (!waits) {
          this.#stalled = true;
          return rest;
        }
        Atomics.wait(pause, 0, 0, 1);
      }
    }
  }

  #past(bytes: Buffer): void {
    try {
      const fd = openLog(this.#file);
      originalWrite(fd, bytes);
      closeSync(fd);
    } catch {
      // Whoever runs as somebody else has no way left.
    }
  }
}

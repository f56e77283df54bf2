import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import type { LogFiles } from '../kit/log-files.js';
import type { Logger } from '../kit/logger.js';
import { unread } from '../node/own-output.js';
import { outletOf } from './outlet.js';

/** A line that does not end is written in parts, the first after so many bytes, or ms. */
const LONGEST = 1024 * 1024;
const UNENDED = 500;

const NEWLINE = 10;

type Which = 'out' | 'err';

/**
 * What agent and workers print where log files are rotated: read from their pipes, and written at once, whole lines of one
 * process together. Nothing of it waits here, so nothing is lost with the master but what it has not read; and who finds
 * nobody that reads writes to the file itself (lib/child/output.ts).
 */
export class ChildOutput {
  readonly #files: LogFiles;
  readonly #logger: Logger;
  readonly #open = new Set<Lines>();

  constructor(files: LogFiles, logger: Logger) {
    this.#files = files;
    this.#logger = logger;
  }

  /** Of a process that has just been started, with pipes or without. */
  take(process: ChildProcess): void {
    for (const [stream, which] of [[process.stdout, 'out'], [process.stderr, 'err']] as const) {
      if (!stream) continue;
      const lines = new Lines(stream as Socket, (bytes) => this.write(which, bytes));
      this.#open.add(lines);
      stream.once('close', () => this.#open.delete(lines));
      process.once('exit', () => lines.drain());
    }
  }

  /** Before the process ends: what is left. */
  end(): void {
    for (const lines of this.#open) lines.end();
    this.#open.clear();
  }

  /** Whole lines, as a rule. */
  write(which: Which, bytes: Buffer): void {
    const files = this.#files;
    for (let rest = bytes; rest.length > 0;) {
      const length = files.room(which, rest);
      outletOf(files.output[which]).write(rest.subarray(0, length), (words) => this.#logger.lost(words));
      rest = rest.subarray(length);
    }
  }
}

/** One pipe. */
class Lines {
  readonly #stream: Socket;
  readonly #write: (bytes: Buffer) => void;
  /** Of a line that has not ended. */
  #rest: Buffer[] = [];
  #length = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: Socket, write: (bytes: Buffer) => void) {
    this.#stream = stream;
    this.#write = write;
    stream.on('data', (bytes: Buffer) => this.#take(bytes));
    stream.on('end', () => this.#flush(true));
    stream.on('error', () => {});
    // A process that a child has left may hold the other end for ever.
    stream.unref();
  }

  drain(): void {
    for (const piece of unread(this.#stream)) this.#take(piece);
  }

  end(): void {
    this.drain();
    this.#flush(true);
    this.#stream.destroy();
  }

  #take(bytes: Buffer): void {
    clearTimeout(this.#timer);
    const end = bytes.lastIndexOf(NEWLINE) + 1;
    if (end > 0) {
      this.#write(this.#length > 0 ? Buffer.concat([...this.#rest, bytes.subarray(0, end)]) : bytes.subarray(0, end));
      this.#rest = [];
      this.#length = 0;
    }
    if (end === bytes.length) return;
    this.#rest.push(bytes.subarray(end));
    this.#length += bytes.length - end;
    if (this.#length >= LONGEST) this.#flush();
    else this.#timer = setTimeout(() => this.#flush(), UNENDED).unref();
  }

  /** `last`: nothing comes to end it, and another one's line is to begin on its own. */
  #flush(last = false): void {
    clearTimeout(this.#timer);
    if (this.#length === 0) return;
    this.#write(Buffer.concat(last ? [...this.#rest, Buffer.of(NEWLINE)] : this.#rest));
    this.#rest = [];
    this.#length = 0;
  }
}

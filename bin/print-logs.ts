import { closeSync, createReadStream, fstatSync, openSync, readSync, statSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { createGunzip } from 'node:zlib';
import { rotatedFrom } from '../lib/kit/log-files.js';
import { Entries, entryJson, matches, type LogFilter } from './log-entries.js';
import { printError, write } from './output.js';

/** How often a followed file is looked at, ms. Watching would miss a file that is moved away and made anew. */
const LOOK = 200;
const CHUNK = 64 * 1024;

export interface LogWish extends LogFilter {
  /** The last ones only: lines, or entries where they are looked at one by one. */
  lines?: number;
  follow: boolean;
  /** An object an entry. */
  json: boolean;
}

/** Where the bytes of a log go; false when nobody reads any more. */
interface Sink {
  take(bytes: Buffer): boolean;
  /** Nothing comes for a while; `first`: what was there is done. */
  pause(first: boolean): boolean;
}

/**
 * Prints each file with those that were rotated from it, or the last lines of it; with `follow` what comes after, until Ctrl-C or nobody
 * reads any more. False: one of them cannot be read, which is said; with `follow` it may come.
 */
export async function printLogs(files: readonly string[], wish: LogWish): Promise<boolean> {
  const { lines, follow, json, process: name, level, since, grep } = wish;
  const plain = !json && [name, level, since, grep].every((one) => one === undefined);
  const tails = files.map((file) => new LogTail(file, plain ? lines : undefined));
  for (const [at, { failure }] of tails.entries()) if (failure !== null) printError(unreadable(files[at] as string, failure));
  const sinks = tails.map((tail) => plain && (lines === undefined || tail.hasEnough) ? raw : filtered(wish));
  for (const [at, tail] of tails.entries()) {
    const sink = sinks[at] as Sink;
    const before = lines !== undefined && sink === raw ? [] : older(files[at] as string, tail, since);
    if (sink !== raw && plain) tail.rewind();
    for (const file of before) if (!await copy(file, sink)) return true;
  }
  const whole = tails.every(({ failure }) => failure === null);
  const drained = (first: boolean) => tails.every((tail, at) => tail.drain(sinks[at] as Sink) && (sinks[at] as Sink).pause(first));
  if (!drained(true) || !follow) return whole;
  process.once('SIGINT', () => process.exit(0)).once('SIGTERM', () => process.exit(0));
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK));
    for (const tail of tails) tail.reopen();
    if (!drained(false)) return whole;
  }
}

const unreadable = (file: string, { code, message }: NodeJS.ErrnoException): string => code === 'ENOENT'
  ? `there is no log file ${file}: it was removed, or moved away; \`framework reload\` and SIGHUP make it anew`
  : `the log file ${file} cannot be read: ${message}`;

const raw: Sink = { take: (bytes) => write(1, bytes), pause: () => true };

/** Entry by entry. */
function filtered(wish: LogWish): Sink {
  const { lines: most = Infinity, json } = wish;
  const decoder = new StringDecoder();
  const last: string[] = [];
  let [rest, reads, live] = ['', true, most === Infinity];
  const print = (text: string) => { reads &&= write(1, `${text}\n`); };
  const entries = new Entries((entry) => {
    if (!matches(entry, wish)) return;
    // Without a wish for entries it is lines that are counted.
    for (const text of json ? [entryJson(entry)] : wish.lines === undefined || isFilter(wish) ? [entry.lines.join('\n')] : entry.lines) {
      if (live) print(text);
      else if (last.push(text) > most) last.shift();
    }
  });
  return {
    take(bytes) {
      const lines = (rest + decoder.write(bytes)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) entries.line(line);
      return reads;
    },
    pause(first) {
      if (first && rest !== '') [rest] = ['', entries.line(rest)];
      entries.end();
      if (!live && first) {
        live = true;
        last.forEach(print);
      }
      return reads;
    },
  };
}

const isFilter = ({ process: name, level, since, grep }: LogWish): boolean => [name, level, since, grep].some((one) => one !== undefined);

/** Those that were rotated, but the one that is open here under its earlier name; of a time, those that were written since. */
const older = (file: string, tail: LogTail, since = -Infinity): string[] => rotatedFrom(file).filter((one) => {
  const stat = statSync(one, { throwIfNoEntry: false });
  return stat !== undefined && !tail.isOpen(stat) && stat.mtimeMs >= since;
});

async function copy(file: string, sink: Sink): Promise<boolean> {
  const read = createReadStream(file);
  const stream: Readable = file.endsWith('.gz') ? read.pipe(createGunzip()) : read;
  read.once('error', (error) => stream.destroy(error));
  try {
    for await (const bytes of stream) if (!sink.take(bytes as Buffer)) return false;
  } catch (error) {
    // It may have become too old meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') printError(`the log file ${file} cannot be read: ${(error as Error).message}`);
  }
  return true;
}

/** One file, read from where one was; a file that takes its name later is gone on with from its beginning. */
class LogTail {
  readonly #file: string;
  #descriptor: number | null;
  #position = 0;
  #next: number[] = [];
  /** Why it cannot be read. */
  readonly failure: NodeJS.ErrnoException | null = null;
  /** It has as many lines as are wanted. */
  readonly hasEnough: boolean = true;

  constructor(file: string, lines: number | undefined) {
    this.#file = file;
    try {
      this.#descriptor = openSync(file, 'r');
    } catch (error) {
      this.#descriptor = null;
      this.failure = error as NodeJS.ErrnoException;
    }
    if (this.#descriptor === null || lines === undefined) return;
    const start = startOfLast(this.#descriptor, lines);
    this.hasEnough = start !== null || rotatedFrom(file).length === 0;
    this.#position = start ?? 0;
  }

  rewind(): void {
    this.#position = 0;
  }

  isOpen({ ino, dev }: { ino: number; dev: number }): boolean {
    const open = this.#descriptor === null ? null : fstatSync(this.#descriptor);
    return open?.ino === ino && open.dev === dev;
  }

  /** Tells what is new; false when nobody reads. */
  drain(sink: Sink): boolean {
    if (this.#descriptor !== null && !this.#copy(this.#descriptor, sink)) return false;
    for (const next of this.#next.splice(0)) {
      if (this.#descriptor !== null) closeSync(this.#descriptor);
      [this.#descriptor, this.#position] = [next, 0];
      if (!this.#copy(next, sink)) return false;
    }
    return true;
  }

  /** Notices that the file was rotated, several times perhaps: another one has its name, or it became shorter. */
  reopen(): void {
    const now = statSync(this.#file, { throwIfNoEntry: false });
    if (!now) return;
    if (this.#descriptor !== null && this.isOpen(now)) {
      if (now.size < this.#position) this.#position = 0;
      return;
    }
    const rotated = this.#descriptor === null ? [] : rotatedFrom(this.#file).filter((file) => !file.endsWith('.gz'));
    const own = rotated.findIndex((file) => {
      const stat = statSync(file, { throwIfNoEntry: false });
      return stat !== undefined && this.isOpen(stat);
    });
    this.#next = [...own === -1 ? [] : rotated.slice(own + 1), this.#file].map(open).filter((fd) => fd !== null);
  }

  #copy(descriptor: number, sink: Sink): boolean {
    const buffer = Buffer.alloc(CHUNK);
    for (;;) {
      const length = readSync(descriptor, buffer, 0, CHUNK, this.#position);
      if (length === 0) return true;
      this.#position += length;
      if (!sink.take(buffer.subarray(0, length))) return false;
    }
  }
}

function open(file: string): number | null {
  try {
    return openSync(file, 'r');
  } catch {
    return null;
  }
}

/** Where the last `lines` lines of a file begin: read from its end, as a log may be large. Null: it has fewer. */
function startOfLast(descriptor: number, lines: number): number | null {
  const { size } = fstatSync(descriptor);
  if (lines === 0) return size;
  const buffer = Buffer.alloc(CHUNK);
  let found = 0;
  for (let end = size; end > 0; end -= CHUNK) {
    const start = Math.max(0, end - CHUNK);
    readSync(descriptor, buffer, 0, end - start, start);
    for (let at = end - start - 1; at >= 0; at--) {
      // The newline that ends the last line begins no other.
      if (buffer[at] === 10 && start + at !== size - 1 && ++found === lines) return start + at + 1;
    }
  }
  return size > 0 && found + 1 === lines ? 0 : null;
}

import { fstatSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import type { LogFiles } from '../kit/log-files.js';
import type { LogOutput } from '../kit/logger.js';
import { inForeground } from '../kit/terminal.js';
import { ownOutput, type OwnOutput } from '../node/own-output.js';
import { whenMade } from '../node/process.js';
import { asAnyJob } from './terminal.js';

/** Makes a line of the words that say how many were dropped, and why. */
type Lost = (words: string) => string;

/** Milliseconds that a second may spend waiting for a reader. */
const PATIENCE = 50;
const WINDOW = 1_000;
/** How often a reader who has stalled is looked for, ms. */
const AGAIN = 250;
const LOOK = 10;

const NOTHING = Buffer.alloc(0);
const pause = new Int32Array(new SharedArrayBuffer(4));

/**
 * What the master writes to one descriptor. It never waits longer than 50 ms for who reads (Ctrl-S, `| less`, a log collector
 * that hangs), as it would be deaf to signals and accept no connection meanwhile: lines are dropped then, whole ones, and
 * counted, and the first that can be written again says how many (test/integration/output-stalled.test.ts). A regular file
 * knows no such way: on a file system that hangs, a write does.
 */
export class Outlet {
  readonly #fd: number;
  readonly #terminal: boolean;
  #way: OwnOutput | null = null;
  /** Of a line that is written in part. */
  #rest: Buffer = NOTHING;
  #dropped = 0;
  /** The error code of the first write that failed since all was well, and when that was. */
  #why = '';
  #since = 0;
  #lost: Lost = (words) => words;
  #again: NodeJS.Timeout | undefined;
  readonly #window = { since: 0, spent: 0 };

  constructor(fd: number) {
    this.#fd = fd;
    this.#terminal = isatty(fd);
  }

  /** Whole lines. Never throws. */
  write(text: string | Buffer, lost: Lost): void {
    this.#lost = lost;
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    if (bytes.length === 0) return;
    const rest = this.#recovered() ? this.#put(bytes) : bytes;
    if (rest.length === bytes.length) this.#dropped += lines(bytes);
    else this.#rest = rest;
  }

  /** Whether all is written that can be: false while somebody has not read what came before. */
  get settled(): boolean {
    return this.#why !== 'EAGAIN' || this.#recovered();
  }

  /** Since when nobody reads, ms of `performance.now()`; of one that is not {@link settled}. */
  get stalledSince(): number {
    return this.#since;
  }

  close(): void {
    this.#look(false);
    this.#way?.close();
    this.#way = null;
  }

  /** What is due from before is written: the rest of a line, and how many were dropped. */
  #recovered(): boolean {
    this.#rest = this.#put(this.#rest);
    if (this.#rest.length > 0) return false;
    if (this.#dropped > 0) {
      const line = Buffer.from(this.#lost(this.#words()));
      const rest = this.#put(line);
      if (rest.length === line.length) return false;
      this.#dropped = 0;
      this.#rest = rest;
      if (rest.length > 0) return false;
    }
    this.#why = '';
    this.#look(false);
    return true;
  }

  #words(): string {
    const seconds = `${Math.ceil((performance.now() - this.#since) / 1_000)} s`;
    const many = `${this.#dropped} line${this.#dropped === 1 ? '' : 's'} dropped here`;
    return this.#why === 'EAGAIN' ? `${many}: nobody read them for ${seconds}` : `${many} in ${seconds}: ${this.#why}`;
  }

  /** Writes and returns what is left: nothing, the rest of it, or all. */
  #put(bytes: Buffer): Buffer {
    let rest = bytes;
    try {
      while (rest.length > 0) rest = rest.subarray(this.#writeSome(rest));
    } catch (error) {
      if (this.#why === '') this.#since = performance.now();
      this.#why = (error as NodeJS.ErrnoException).code ?? String(error);
      this.#look(this.#why === 'EAGAIN');
    }
    return rest;
  }

  /** @throws the error of the write; EAGAIN when time is up */
  #writeSome(bytes: Buffer): number {
    this.#way ??= ownOutput(this.#fd);
    const began = performance.now();
    const patience = this.#patience(began);
    for (;;) {
      this.#way?.ready();
      try {
        return this.#terminal && inForeground() !== true ? asAnyJob('SIGTTOU', () => this.#writeNow(bytes)) : this.#writeNow(bytes);
      } catch (error) {
        const waited = performance.now() - began;
        this.#window.spent = PATIENCE - patience + waited;
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || waited >= patience) throw error;
        Atomics.wait(pause, 0, 0, 1);
      }
    }
  }

  #writeNow(bytes: Buffer): number {
    return writeSync(this.#way?.fd ?? this.#fd, bytes);
  }

  /** Milliseconds. A reader that has stalled already is not waited for again. */
  #patience(now: number): number {
    const { since, spent } = this.#window;
    if (this.#why !== '') return 0;
    if (now - since < WINDOW) return Math.max(0, PATIENCE - spent);
    Object.assign(this.#window, { since: now, spent: 0 });
    return PATIENCE;
  }

  #look(again: boolean): void {
    if (again === (this.#again !== undefined)) return;
    clearInterval(this.#again);
    this.#again = again ? setInterval(() => this.#recovered(), AGAIN).unref() : undefined;
  }
}

const lines = (bytes: Buffer): number => Math.max(1, bytes.toString('latin1').split('\n').length - 1);

const outlets = new Map<number, { what: string; outlet: Outlet }>();

/** The one of a descriptor; standard output and error have the same where they are the same pipe. A file may be opened anew. */
export function outletOf(fd: number): Outlet {
  const what = identity(fd);
  const known = outlets.get(fd);
  if (known?.what === what) return known.outlet;
  const twin = fd <= 2 ? [...outlets].find(([other, one]) => other <= 2 && one.what === what) : undefined;
  const outlet = twin?.[1].outlet ?? new Outlet(fd);
  outlets.set(fd, { what, outlet });
  if (known && [...outlets.values()].every((one) => one.outlet !== known.outlet)) known.outlet.close();
  return outlet;
}

/** What a reader gets who read until the end began and then fell behind, ms from there on: as long as children wait for him. */
const SLOW = 6_000;
/** What one gets who had stalled before, ms: the end says how many lines he has not got. */
const STALLED = 300;

/**
 * Before the process ends: the rest of a line, and how many were dropped. `began`: when the end began (`performance.now()`).
 * Nobody waits for who had stalled by then, nor when it hurries (test/integration/last-lines.test.ts).
 */
export async function outletsSettled(began: number, hurries: () => boolean): Promise<void> {
  const now = performance.now();
  for (const { outlet } of outlets.values()) {
    const until = (): number => outlet.stalledSince < began || hurries() ? now + STALLED : outlet.stalledSince + SLOW;
    while (!outlet.settled && performance.now() < until()) await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
}

function identity(fd: number): string {
  try {
    const { dev, ino } = fstatSync(fd);
    return `${dev}:${ino}`;
  } catch {
    return 'closed';
  }
}

/**
 * A log that goes to two descriptors, which may become others: they are read at each line. Of a file that was removed nobody
 * reads a line, least of all the one that says why no other could be opened: the other one gets it.
 */
export const toDescriptors = (files: LogFiles): LogOutput => ({
  write(line, urgent, lost) {
    files.makeRoom(urgent ? 'err' : 'out', Buffer.byteLength(line));
    const { out, err } = files.output;
    const [own, other] = urgent ? [err, out] : [out, err];
    outletOf(own !== other && isRemoved(own) && !isRemoved(other) ? other : own).write(line, lost);
  },
});

function isRemoved(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isFile() && stat.nlink === 0;
  } catch {
    return false;
  }
}

let standard: LogFiles['output'] = { out: 1, err: 2 };

/** Of the process's two standard outlets; a daemon has its log files there, also after they were opened anew. */
export const standardOutlet = (fd: 1 | 2): Outlet => outletOf(fd === 1 ? standard.out : standard.err);

/** From here on plugins' own lines follow the log. */
export function standardAt(output: LogFiles['output']): void {
  standard = output;
}

/**
 * What plugins, libraries and Node itself write to `process.stdout` and `process.stderr` goes the same way: to a terminal they
 * would wait for the reader, to a pipe keep all that he has not read.
 */
export function takeStreams(): void {
  for (const [name, fd] of [['stdout', 1], ['stderr', 2]] as const) {
    whenMade(name, (stream) => {
      stream.on('error', () => {});
      stream._write = (chunk: string | Buffer, encoding, done) => {
        standardOutlet(fd).write(typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk, (words) => `${words}\n`);
        done();
      };
      Reflect.set(stream, '_writev', null);
    });
  }
}

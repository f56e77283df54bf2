import {
  closeSync, constants, createReadStream, createWriteStream, existsSync, fstatSync, mkdirSync, openSync, promises, readdirSync,
  renameSync, statSync,
} from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { UNWAITING } from './terminal.js';

/** Absolute paths of the files that a daemon's lines go to: the normal ones, and warnings and errors; both may be one. */
export interface LogPaths {
  out: string;
  err: string;
}
type Which = keyof LogPaths;

/** When a log file makes room for the next one, and what becomes of it. */
export interface Rotation {
  /** Bytes; it never becomes larger, but by a single line. */
  size?: number;
  /** The clock's hours, days or weeks (from Monday), in local time. */
  every?: 'hour' | 'day' | 'week';
  /** How many files are kept beside the one that is written. */
  keep: number;
  gzip: boolean;
}

/** A pipe by that name without a reader is an error (ENXIO): opened as usual it would block until somebody reads. */
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | UNWAITING;

/**
 * Opens a log file to append, its directory made where it is missing. One level, as a longer way is rather a mistake; and
 * `recursive` never returns for a path in /proc. Throws the file system's error.
 */
export function openLog(file: string): number {
  let noDirectory: unknown;
  try {
    mkdirSync(path.dirname(file));
  } catch (error) {
    // One that is there will do.
    noDirectory = error;
  }
  try {
    return openSync(file, APPEND, 0o666);
  } catch (error) {
    const isMissing = codeOf(error) === 'ENOENT' && noDirectory !== undefined && codeOf(noDirectory) !== 'EEXIST';
    throw isMissing ? noDirectory : error;
  }
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

/** The time at which a file was rotated, UTC: names in their order are files in their order, whatever the clocks are set to. */
const STAMP = /^\.\d{8}T\d{9}Z(?:\.gz)?$/;
const stamp = (at: number): string => `.${new Date(at).toISOString().replace(/[-:.]/g, '')}`;

/** The files that were rotated from this one, the oldest first. Of one that is just being compressed, the one that is whole. */
export function rotatedFrom(file: string): string[] {
  const [folder, base] = [path.dirname(file), path.basename(file)];
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => name.startsWith(base) && STAMP.test(name.slice(base.length))).sort();
  } catch {
    return [];
  }
  return names.filter((name) => !names.includes(name.replace(/\.gz$/, '')) || !name.endsWith('.gz')).map((name) => path.join(folder, name));
}

/** Bytes, where nothing is said of the time either. */
const USUAL = 10 * 1024 * 1024;
/** After a rotation that could not be done, ms. */
const AGAIN = 60_000;

/**
 * Where lines go: the master's own streams, or a daemon's files. Children get the descriptors themselves, so nothing of
 * theirs passes through the master and nothing is lost with it; where files are rotated they cannot hold them, and write
 * through pipes (lib/master/child-output.ts).
 */
export class LogFiles {
  readonly output: Record<Which, number> = { out: 1, err: 2 };
  readonly #paths: LogPaths | undefined;
  readonly #regular: boolean = true;
  /** Numbers of it may change while the master runs. */
  rotation: Rotation | undefined;
  /** Why the last opening came to nothing; null where it did not. */
  failure: string | null = null;
  /** Told what goes wrong with a rotation. */
  trouble: (text: string) => void = () => {};
  #dueAt = Infinity;
  #notBefore = 0;
  /** What the start has said is in it: it stays. */
  readonly #first = new Map<string, string>();
  #tidies = false;
  #untidy = false;

  constructor(paths?: LogPaths, rotation?: Rotation) {
    this.#paths = paths;
    this.rotation = rotation;
    this.#regular = paths !== undefined && [paths.out, paths.err].every(mayRotate);
  }

  /** Whether lines go to files that can be opened anew. */
  get any(): boolean {
    return this.#paths !== undefined;
  }

  /** The files that children write to through the master; null: they have descriptors of their own. */
  get throughMaster(): LogPaths | null {
    return this.#paths !== undefined && this.rotation !== undefined && this.#regular ? this.#paths : null;
  }

  stdio(): Record<Which, number | 'pipe'> {
    return this.throughMaster ? { out: 'pipe', err: 'pipe' } : { ...this.output };
  }

  /**
   * After a rotation: new lines, and new children's, go to new files of the same names; both of them, or none. Where that
   * cannot be, all goes on to the files that are open: the directory may be gone, or another's. Never throws, `failure` tells.
   */
  reopen(): void {
    if (!this.#paths) return;
    const { out, err } = this.#paths;
    const opened: number[] = [];
    try {
      opened.push(openLog(out));
      if (err !== out) opened.push(openLog(err));
    } catch (error) {
      opened.forEach(close);
      this.failure = (error as Error).message;
      return;
    }
    this.failure = null;
    const before = new Set([this.output.out, this.output.err]);
    [this.output.out, this.output.err] = [opened[0] as number, opened.at(-1) as number];
    for (const fd of before) if (fd > 2) close(fd);
    if (this.throughMaster && this.#dueAt === Infinity) this.#leftFromBefore();
  }

  /** Before a line, or several that belong together: where they would not fit, they go to the next file. Never throws. */
  makeRoom(which: Which, length: number): void {
    const used = this.#used(which);
    if (used > 0 && used + length > this.#size) this.#rotate(which);
  }

  /** How many of these bytes go to the file that is open now, whole lines where it ends; the others to the next one. Never throws. */
  room(which: Which, bytes: Buffer): number {
    const size = this.#size;
    const used = this.#used(which);
    if (used + bytes.length <= size) return bytes.length;
    const fits = used < size ? bytes.lastIndexOf(10, size - used - 1) + 1 : 0;
    if (fits > 0) return fits;
    if (used === 0) return bytes.indexOf(10) + 1 || bytes.length;
    return this.#rotate(which) ? this.room(which, bytes) : bytes.length;
  }

  get #size(): number {
    return this.rotation?.size ?? (this.rotation?.every === undefined ? USUAL : Infinity);
  }

  /** Bytes in it; 0 where nothing is to be rotated. A time that has come is seen to. */
  #used(which: Which): number {
    if (!this.throughMaster) return 0;
    const now = Date.now();
    if (now < this.#notBefore) return 0;
    if (now >= this.#dueAt) {
      for (const one of this.#each) if (sizeOf(this.output[one]) > 0) this.#rotate(one);
      this.#dueAt = boundary(this.rotation?.every, now, 1);
    }
    return now < this.#notBefore ? 0 : sizeOf(this.output[which]);
  }

  get #each(): Which[] {
    return this.#paths?.out === this.#paths?.err ? ['out'] : ['out', 'err'];
  }

  /** Nobody was there when their time came. */
  #leftFromBefore(): void {
    const now = Date.now();
    this.#dueAt = boundary(this.rotation?.every, now, 1);
    const began = boundary(this.rotation?.every, now, 0);
    for (const one of this.#each) {
      const stat = fstatSync(this.output[one]);
      if (stat.size > 0 && stat.mtimeMs < began) this.#rotate(one, false);
    }
    this.#tidy();
  }

  /** False: it cannot be, for the time being; lines go on to the file that is open. */
  #rotate(which: Which, holdsStart = true): boolean {
    const file = (this.#paths as LogPaths)[which];
    try {
      if (isOpenAt(this.output[which], file)) {
        const to = freeName(file);
        renameSync(file, to);
        if (holdsStart && !this.#first.has(file)) this.#first.set(file, to);
      }
      const opened = openLog(file);
      const before = this.output[which];
      for (const one of this.#each.length === 1 ? ['out', 'err'] as const : [which]) this.output[one] = opened;
      if (before > 2) close(before);
    } catch (error) {
      this.#notBefore = Date.now() + AGAIN;
      this.trouble(`${file} cannot be rotated: ${(error as Error).message}; lines go on to the file that is open`);
      return false;
    }
    this.#tidy();
    return true;
  }

  /** Removes what is too old and compresses the others; what is rotated meanwhile comes after. */
  #tidy(): void {
    this.#untidy = true;
    if (this.#tidies) return;
    this.#tidies = true;
    void (async () => {
      while (this.#untidy && this.rotation && this.#paths) {
        this.#untidy = false;
        for (const one of this.#each) {
          const file = this.#paths[one];
          await tidy(file, this.rotation, this.#first.get(file)).catch((error: Error) => this.trouble(`${file}: ${error.message}`));
        }
      }
      this.#tidies = false;
    })();
  }
}

async function tidy(file: string, { keep, gzip }: Rotation, first: string | undefined): Promise<void> {
  const old = rotatedFrom(file).filter((one) => one.replace(/\.gz$/, '') !== first).slice(0, -keep);
  for (const one of old) await promises.unlink(one);
  if (gzip) for (const one of rotatedFrom(file)) if (!one.endsWith('.gz')) await compress(one);
}

/** Whole or not at all: a master that ends in between begins anew at the next rotation. */
async function compress(file: string): Promise<void> {
  const part = `${file}.part`;
  await pipeline(createReadStream(file), createGzip(), createWriteStream(part));
  await promises.rename(part, `${file}.gz`);
  await promises.unlink(file);
}

/** When the period began that `now` is in, and `on` periods later; a week begins on Monday. */
function boundary(every: Rotation['every'], now: number, on: 0 | 1): number {
  if (every === undefined) return on === 1 ? Infinity : -Infinity;
  const at = new Date(now);
  if (every === 'hour') return at.setHours(at.getHours() + on, 0, 0, 0);
  const day = every === 'day' ? 0 : (at.getDay() + 6) % 7;
  at.setDate(at.getDate() - day + on * (every === 'day' ? 1 : 7));
  return at.setHours(0, 0, 0, 0);
}

function freeName(file: string): string {
  for (let at = Date.now(); ; at++) {
    const name = file + stamp(at);
    if (!existsSync(name) && !existsSync(`${name}.gz`)) return name;
  }
}

/** A pipe's reader, or `/dev/null`, has no use for it. One that is not there yet will be a file. */
const mayRotate = (file: string): boolean => statSync(file, { throwIfNoEntry: false })?.isFile() ?? true;

/** False where somebody else has moved it away. */
function isOpenAt(fd: number, file: string): boolean {
  const [open, named] = [fstatSync(fd), statSync(file, { throwIfNoEntry: false })];
  return named?.ino === open.ino && named.dev === open.dev;
}

const sizeOf = (fd: number): number => fstatSync(fd).size;

function close(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // What a full disk says of lines before comes at the close.
  }
}

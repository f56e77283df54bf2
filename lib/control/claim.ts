import { linkSync, lstat, lstatSync, lutimesSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { ClusterError } from '../kit/errors.js';
import { makeOwnDirectory, noPlace, placesToWrite } from '../kit/own-places.js';
import { ownIdentity } from '../kit/processes.js';
import {
  TOUCH, allPlaces, isAlive, listInstances, lostAreBack, readRecord, recordId, removeEmpty, samePlace, socketPath, standsIn, takeAway,
  type InstanceInfo, type InstanceRecord,
} from './registry.js';

/** How often a start that meets another start looks again, when a record that makes no sense is given up, and when all of it, ms. */
const RETRY = 20;
const UNREADABLE = 1_000;
const PATIENCE = 3_000;
/** The clock of a file system is coarser than ours: what has changed within this time may change again unseen, ms. */
const COARSE = 1_000;

/** This process's own entry: a record in a directory of this user alone, and the path of the control socket beside it. */
export class Claim {
  #record: InstanceRecord;
  #dir: string;
  /** Record and socket can be had in one place or the other: here no socket could be made. */
  readonly #unfit = new Set<string>();
  /** What the directory looked like when all was in it; null: to be looked at whole. */
  #seen: string | null = null;
  #touched = Date.now();

  private constructor(record: InstanceRecord, dir: string) {
    this.#record = record;
    this.#dir = dir;
  }

  /**
   * Enters this process as the instance of a title in a directory, in the first place that can be written to. Of two starts at
   * once only one gets through: the record appears by link(2), whole or not at all, and a stale one is removed only by the
   * holder of a lock named after it. Throws ERR_CLUSTER_ALREADY_RUNNING, or the file system's own error where nothing can be
   * written.
   */
  static async make(info: InstanceInfo): Promise<Claim> {
    const id = recordId(info.dir, info.title);
    const entry = { ...info, ...ownIdentity(), id, host: os.hostname(), startedAt: new Date().toISOString() };
    return inFirstPlace(placesToWrite(), async (dir) => {
      const record = await enter({ ...entry, socket: socketPath(dir, id) }, dir);
      rmSync(record.socket, { force: true });
      return new Claim(record, dir);
    });
  }

  get record(): InstanceRecord {
    return this.#record;
  }

  /** The record's own path. */
  get file(): string {
    return fileOf(this.#dir, this.#record);
  }

  /** One lstat each: nothing was added to the directory, taken from it, or done to it or the record, since {@link remember}. */
  async undisturbed(): Promise<boolean> {
    return this.#seen !== null && this.#seen === await stampOf([this.#dir, this.file]);
  }

  /** Record and socket are there. */
  async remember(): Promise<void> {
    this.#seen = await stampOf([this.#dir, this.file], Date.now() - COARSE);
  }

  /** Those who clean by age leave alone what is touched from time to time; so do those who share a home with this machine. */
  touch(now = Date.now()): void {
    if (now - this.#touched < TOUCH) return;
    this.#touched = now;
    for (const file of [this.file, this.#record.socket, this.#dir]) {
      try {
        lutimesSync(file, now / 1_000, now / 1_000);
      } catch {
        // Gone: the next look finds that.
      }
    }
  }

  /**
   * Writes the record anew where it is gone, elsewhere when its directory is not ours any more. False: another master has
   * taken the place meanwhile. Throws what the file system says where nothing can be written.
   */
  async restore(): Promise<boolean> {
    const places = [...new Set([this.#dir, ...placesToWrite()])].filter((dir) => !this.#unfit.has(dir));
    return inFirstPlace(places, async (dir) => {
      const record = { ...this.#record, socket: socketPath(dir, this.#record.id) };
      makeOwnDirectory(dir);
      const file = fileOf(dir, record);
      const stands = isSame(readRecord(file), record) || await write(record, dir) || (removeUnreadable(file) && await write(record, dir));
      if (!stands) return false;
      this.#record = record;
      this.#dir = dir;
      return true;
    });
  }

  /** To the next place, as no socket can be made in this one; where there is none it stays without. False: it stays. */
  async move(): Promise<boolean> {
    const before = this.#dir;
    this.release();
    this.#unfit.add(before);
    try {
      if (await this.restore()) return true;
    } catch {
      // Nor elsewhere.
    }
    this.#unfit.clear();
    await this.restore();
    return false;
  }

  /** Removes the record and the socket, if they are still ours, and the directory when nothing else is in it. Never throws. */
  release(): void {
    try {
      const standing = readRecord(this.file);
      if (standing && !isSame(standing, this.#record)) return;
      rmSync(this.#record.socket, { force: true });
      rmSync(this.file, { force: true });
    } catch {
      // A directory that is gone needs no cleaning.
    }
    removeEmpty(this.#dir);
  }
}

const fileOf = (dir: string, { id }: InstanceRecord): string => path.join(dir, `${id}.json`);

const isSame = (one: InstanceRecord | null, other: InstanceRecord): boolean =>
  one?.pid === other.pid && one.startedTick === other.startedTick && one.id === other.id;

async function inFirstPlace<Result>(places: readonly string[], run: (dir: string) => Promise<Result>): Promise<Result> {
  let reason: unknown;
  for (const dir of places) {
    try {
      return await run(dir);
    } catch (error) {
      if (error instanceof ClusterError) throw error;
      reason ??= error;
    }
  }
  throw reason ?? noPlace();
}

async function enter(record: InstanceRecord, dir: string): Promise<InstanceRecord> {
  const lost = (await lostAreBack(record.title)).find(({ id }) => id === record.id);
  if (lost) throw alreadyRunning({ ...record, pid: lost.pid });
  const started = Date.now();
  for (;;) {
    // A start with another HOME, XDG_RUNTIME_DIR or TMPDIR left its record elsewhere; so did one of 0.1.0.
    for (const other of await listInstances(allPlaces())) if (isSameService(record, other)) throw alreadyRunning(other);
    makeOwnDirectory(dir);
    if (await write(record, dir)) return record;
    const waited = Date.now() - started;
    if (waited > UNREADABLE) removeUnreadable(fileOf(dir, record));
    if (waited > PATIENCE) throw new ClusterError('ERR_CLUSTER_CONTROL', `${fileOf(dir, record)} is in the way and cannot be removed`);
    await new Promise((resolve) => setTimeout(resolve, RETRY));
  }
}

/** Also where a link led to another directory when the other one was started. */
const isSameService = (record: InstanceInfo, other: InstanceRecord): boolean => other.title === record.title
  && (standsIn(other, record.dir) || (other.place !== undefined && other.place === record.place) || samePlace(other.target, record.target));

/** False: another record stands there. A dead master's is removed. */
async function write(record: InstanceRecord, dir: string): Promise<boolean> {
  const file = fileOf(dir, record);
  const draft = path.join(dir, `${record.id}.${process.pid}.new`);
  try {
    rmSync(draft, { force: true });
    writeFileSync(draft, JSON.stringify(record), { mode: 0o600, flag: 'wx' });
    if (link(draft, file)) return true;
    const standing = readRecord(file);
    if (standing && !await isAlive(standing)) takeAway(file, standing, dir);
    return link(draft, file);
  } catch (error) {
    // Who ended meanwhile has removed the directory with the last record in it.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return false;
  } finally {
    removeDraft(draft);
  }
}

/** What stays of it is in nobody's way; the record that was made of it stands. */
function removeDraft(draft: string): void {
  try {
    rmSync(draft, { force: true });
  } catch {
    // No descriptor is left to look at it, say.
  }
}

function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    // File systems without hard links: the exclusive flag does, but a reader may see half a record.
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS') throw error;
    try {
      writeFileSync(to, readFileSync(from), { mode: 0o600, flag: 'wx' });
      return true;
    } catch (second) {
      if ((second as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw second;
    }
  }
}

/** Half a record, from a disk that was full, or nothing that is one: told from one that is being replaced by staying as it is. */
function removeUnreadable(file: string): boolean {
  const age = Date.now() - (lstatSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
  if (age <= UNREADABLE || readRecord(file)) return false;
  rmSync(file, { force: true });
  return true;
}

/** Not fs.promises: to load that costs a start two milliseconds. */
const lookAt = promisify(lstat);

/** Null where one is gone, or has changed after `before` (ms since 1970). */
async function stampOf(files: readonly string[], before = Infinity): Promise<string | null> {
  try {
    const all = await Promise.all(files.map((file) => lookAt(file)));
    if (all.some(({ ctimeMs }) => ctimeMs >= before)) return null;
    return all.map(({ dev, ino, mode, uid, ctimeMs }) => [dev, ino, mode, uid, ctimeMs].join(' ')).join('; ');
  } catch {
    return null;
  }
}

export const alreadyRunning = (other: InstanceRecord) => new ClusterError('ERR_CLUSTER_ALREADY_RUNNING',
  `"${other.title}" is already running in ${other.place ?? other.dir} (pid ${other.pid}); stop it first, or give this one another --title`);

import { linkSync, readFileSync, readdirSync, realpathSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import path from 'node:path';
import { ClusterError } from '../kit/errors.js';
import { makeInstanceDir, readableDirs } from './instance-dir.js';
import { isRunning, ownIdentity, type ProcessIdentity } from '../kit/processes.js';

/** What is said of an instance when it starts. */
export interface InstanceInfo {
  title: string;
  /** Real path of the app's directory. */
  dir: string;
  /** Absolute path as it was typed, which may be a symbolic link to another release by now. */
  target: string;
  command: 'start' | 'dev';
  /** The bin, the command and its words, the flags of node, and where it was typed: for `restart`. */
  argv: string[];
  execArgv: string[];
  cwd: string;
  /** Log files of a daemon. */
  log: { out: string; err: string } | null;
}

/** A running instance, as it stands in its file. */
export interface InstanceRecord extends InstanceInfo, ProcessIdentity {
  id: string;
  startedAt: string;
  /** Path of the control socket. */
  socket: string;
}

/** This process's own entry. */
export interface Claim {
  readonly record: InstanceRecord;
  /** Removes the record and the socket, if they are still ours. Never throws. */
  release(): void;
}

/** How often a start that meets another start looks again, when a record that makes no sense is given up, and when all of it, ms. */
const RETRY = 20;
const UNREADABLE = 1_000;
const PATIENCE = 3_000;
/** How long a socket may take to accept, ms. */
const PROBE = 500;

/**
 * Enters this process as the instance of `title` in `dir`. Of two starts at once only one gets through: the record
 * appears by link(2), whole or not at all, and a stale one is removed only by the holder of a lock named after it.
 * Throws ERR_CLUSTER_ALREADY_RUNNING, or the file system's own error where nothing can be written.
 */
export async function claim(info: InstanceInfo): Promise<Claim> {
  const id = instanceId(info.dir, info.title);
  const dir = makeInstanceDir();
  const file = path.join(dir, `${id}.json`);
  const record: InstanceRecord = { ...info, ...ownIdentity(), id, startedAt: new Date().toISOString(), socket: socketPath(dir, id) };
  const draft = path.join(dir, `${id}.${process.pid}.new`);
  const started = Date.now();
  try {
    for (;;) {
      // A start with another XDG_RUNTIME_DIR or TMPDIR left its record elsewhere.
      for (const place of readableDirs()) {
        const other = readRecord(path.join(place, `${id}.json`));
        if (other && await isAlive(other)) throw alreadyRunning(other);
      }
      writeFileSync(draft, JSON.stringify(record), { mode: 0o600 });
      if (link(draft, file)) break;
      const standing = readRecord(file);
      if (standing && !await isAlive(standing)) takeAway(file, standing, dir);
      const waited = Date.now() - started;
      if (waited > UNREADABLE) removeUnreadable(file);
      if (waited > PATIENCE) throw new ClusterError('ERR_CLUSTER_CONTROL', `${file} is in the way and cannot be removed`);
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  } finally {
    rmSync(draft, { force: true });
  }
  rmSync(record.socket, { force: true });
  return { record, release: () => release(file, record) };
}

/** Running instances of this user; records of dead ones are removed on the way. */
export async function listInstances(): Promise<InstanceRecord[]> {
  // By what they are, as one directory may be met by two paths: TMPDIR is a link to /tmp, or the other way round.
  const found = new Map<string, InstanceRecord>();
  for (const dir of readableDirs()) {
    for (const name of readdirSync(dir)) {
      if (!/^[0-9a-z]+\.json$/.test(name)) continue;
      const file = path.join(dir, name);
      const record = readRecord(file);
      if (!record) continue;
      if (await isAlive(record)) found.set(`${record.id} ${record.pid}`, record);
      else takeAway(file, record, dir);
    }
  }
  return [...found.values()].sort((a, b) => a.startedAt.localeCompare(b.startedAt));
}

export interface InstanceQuery {
  /** Absolute path of a directory or an entry file; not set when only a title was given. */
  target?: string;
  title?: string;
}

/** The running instances that a query means. */
export async function findInstances({ target, title }: InstanceQuery): Promise<InstanceRecord[]> {
  const running = (await listInstances()).filter((record) => title === undefined || record.title === title);
  if (target === undefined) return running;
  const exact = running.filter((record) => samePlace(record.target, target));
  const isFile = statSync(target, { throwIfNoEntry: false })?.isFile() ?? false;
  if (exact.length > 0 && isFile) return exact;
  const dir = realpath(isFile ? path.dirname(target) : target);
  return running.filter((record) => record.dir === dir || exact.includes(record));
}

/** Short and stable name of an instance: 64-bit FNV-1a, as loading node:crypto would cost every start 3 ms. */
export function instanceId(dir: string, title: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(`${dir}\0${title}`)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash.toString(16).padStart(16, '0');
}

const socketPath = (dir: string, id: string): string =>
  process.platform === 'win32' ? `\\\\.\\pipe\\hatchery-${id}` : path.join(dir, `${id}.sock`);

function realpath(target: string): string {
  try {
    return realpathSync(target);
  } catch {
    return target;
  }
}

const samePlace = (one: string, other: string): boolean => one === other || realpath(one) === realpath(other);

function readRecord(file: string): InstanceRecord | null {
  try {
    const record = JSON.parse(readFileSync(file, 'utf8')) as InstanceRecord;
    return typeof record.pid === 'number' && typeof record.dir === 'string' && typeof record.socket === 'string' ? record : null;
  } catch {
    return null;
  }
}

/** A master in another pid namespace that shares the directory has a pid that means nothing here, but it answers. */
export const isAlive = async (record: InstanceRecord): Promise<boolean> => isRunning(record) || accepts(record.socket);

function accepts(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = createConnection(socket);
    const done = (answer: boolean) => {
      connection.destroy();
      resolve(answer);
    };
    connection.setTimeout(PROBE, () => done(false));
    connection.once('connect', () => done(true)).once('error', () => done(false));
  });
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

/** Removes a dead master's record and socket, unless someone else has done so and a new one stands there. */
function takeAway(file: string, stale: InstanceRecord, dir: string): void {
  const lock = path.join(dir, `${stale.id}.${stale.pid}-${stale.startedTick ?? 0}.lock`);
  try {
    writeFileSync(lock, JSON.stringify(ownIdentity()), { mode: 0o600, flag: 'wx' });
  } catch {
    releaseDeadLock(lock);
    return;
  }
  try {
    const standing = readRecord(file);
    if (standing?.pid !== stale.pid || standing.startedTick !== stale.startedTick) return;
    if (path.dirname(stale.socket) === dir) rmSync(stale.socket, { force: true });
    unlinkSync(file);
  } catch {
    // Gone, or not ours to remove: whoever claims will see.
  } finally {
    rmSync(lock, { force: true });
  }
}

/** Half a record, from a disk that was full: told from one that is being replaced by staying as it is. */
function removeUnreadable(file: string): void {
  const age = Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
  if (age > UNREADABLE && !readRecord(file)) rmSync(file, { force: true });
}

function releaseDeadLock(lock: string): void {
  try {
    const holder = JSON.parse(readFileSync(lock, 'utf8')) as ProcessIdentity;
    if (!isRunning(holder)) rmSync(lock, { force: true });
  } catch {
    // Just made or just gone.
  }
}

function release(file: string, record: InstanceRecord): void {
  try {
    const standing = readRecord(file);
    if (standing?.pid !== record.pid || standing.startedTick !== record.startedTick) return;
    rmSync(record.socket, { force: true });
    rmSync(file, { force: true });
  } catch {
    // A directory that is gone needs no cleaning.
  }
}

export const alreadyRunning = (other: InstanceRecord) => new ClusterError('ERR_CLUSTER_ALREADY_RUNNING',
  `"${other.title}" is already running in ${other.dir} (pid ${other.pid}); stop it first, or give this one another --title`);

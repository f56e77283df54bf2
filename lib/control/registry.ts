import { lstatSync, readFileSync, readdirSync, realpathSync, rmSync, rmdirSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { directoryOf } from '../config/place.js';
import { isOwnDirectory, placesToRead } from '../kit/own-places.js';
import { isRunning, ownIdentity, type ProcessIdentity } from '../kit/processes.js';

/** What is said of an instance when it starts. */
export interface InstanceInfo {
  title: string;
  /** Real path of the app's directory, as it was at the start. */
  dir: string;
  /** The same as the user gave it, which may be a symbolic link to another release by now. Masters of 0.1.0 do not say it. */
  place?: string;
  /** Absolute path of what was to be run, as it was typed. */
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
  /** Name of the machine, or the container: a home directory may be shared. Not said by masters of 0.1.0. */
  host?: string;
  startedAt: string;
  /** Path of the control socket. */
  socket: string;
}

/** How long a socket may take to accept, ms. */
const PROBE = 500;
/** A master touches its record so often, ms; one that nobody has touched for longer is no other machine's running one. */
export const TOUCH = 6 * 3_600_000;
const FORGOTTEN = 8 * TOUCH;

/** Running instances of this user; records of dead ones are removed on the way. */
export async function listInstances(places = placesToRead()): Promise<InstanceRecord[]> {
  // By what they are, as one directory may be met by two paths: TMPDIR is a link to /tmp, or the other way round.
  const found = new Map<string, InstanceRecord>();
  for (const dir of places) {
    for (const file of recordsIn(dir)) {
      const record = readRecord(file);
      if (!record) continue;
      if (await isAlive(record)) found.set(`${record.id} ${record.pid}`, record);
      else if (isOurs(record) || isForgotten(file)) takeAway(file, record, dir);
    }
  }
  return [...found.values()].sort((a, b) => a.startedAt.localeCompare(b.startedAt));
}

export interface InstanceQuery {
  /** Absolute path of a directory or an entry file; not set when only a title was given. */
  target?: string;
  title?: string;
}

/** The running instances that a query means: by the path that was typed at their start, by where that leads now, or led then. */
export async function findInstances(query: InstanceQuery): Promise<InstanceRecord[]> {
  const found = meant(query, await listInstances());
  return found.length > 0 ? found : meant(query, await listInstances(allPlaces()));
}

function meant({ target, title }: InstanceQuery, all: InstanceRecord[]): InstanceRecord[] {
  const running = all.filter((record) => title === undefined || record.title === title);
  if (target === undefined) return running;
  const exact = running.filter((record) => samePlace(record.target, target));
  const isFile = statSync(target, { throwIfNoEntry: false })?.isFile() ?? false;
  if (exact.length > 0 && isFile) return exact;
  const dir = isFile ? directoryOf(target).dir : target;
  return running.filter((record) => exact.includes(record) || standsIn(record, dir));
}

/** An instance is of a directory when it was started there, or would be now. */
export const standsIn = ({ dir, place = dir }: InstanceInfo, other: string): boolean =>
  dir === realpath(other) || dir === other || samePlace(place, other);

/** Also where a master has its socket that was started with another HOME or TMPDIR than ours: the kernel knows (Linux). */
export function allPlaces(): string[] {
  const places = placesToRead();
  try {
    const sockets = readFileSync('/proc/net/unix', 'utf8').matchAll(/ (\/\S*\/(?:\.?hatchery|hatchery-\d+))\/[0-9a-z]{16}\.\S+$/gm);
    const others = new Set([...sockets].map(([, dir = '']) => dir));
    return [...places, ...[...others].filter((dir) => !places.includes(dir) && isOwnDirectory(dir))];
  } catch {
    return places;
  }
}

/** Short and stable name of an instance: 64-bit FNV-1a, as loading node:crypto would cost every start 3 ms. */
export function instanceId(dir: string, title: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(`${dir}\0${title}`)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash.toString(16).padStart(16, '0');
}

/** Of a record and its socket: machines, and containers, that share a home directory do not share these. */
export const recordId = (dir: string, title: string): string => instanceId(dir, `${title}\0${os.hostname()}`);

export const socketPath = (dir: string, id: string): string =>
  process.platform === 'win32' ? `\\\\.\\pipe\\hatchery-${id}` : path.join(dir, `${id}.sock`);

function realpath(target: string): string {
  try {
    return realpathSync(target);
  } catch {
    return target;
  }
}

export const samePlace = (one: string, other: string): boolean => one === other || realpath(one) === realpath(other);

/** Null where there is none, or none that is whole and ours: a link, or another user's, is neither. */
export function readRecord(file: string): InstanceRecord | null {
  try {
    const stat = lstatSync(file);
    if (!stat.isFile() || (process.getuid !== undefined && stat.uid !== process.getuid())) return null;
    const record = JSON.parse(readFileSync(file, 'utf8')) as InstanceRecord;
    return typeof record.pid === 'number' && typeof record.dir === 'string' && typeof record.socket === 'string' ? record : null;
  } catch {
    return null;
  }
}

/** A master in another pid namespace that shares the directory has a pid that means nothing here, but it answers. */
export const isAlive = async (record: InstanceRecord): Promise<boolean> =>
  (isOurs(record) && isRunning(record)) || accepts(record.socket);

/** Recorded on this machine. */
const isOurs = ({ host }: InstanceRecord): boolean => host === undefined || host === os.hostname();

function isForgotten(file: string): boolean {
  const touched = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  return touched !== undefined && Date.now() - touched > FORGOTTEN;
}

function recordsIn(dir: string): string[] {
  try {
    return readdirSync(dir).filter((name) => /^[0-9a-z]+\.json$/.test(name)).map((name) => path.join(dir, name));
  } catch {
    // Gone meanwhile.
    return [];
  }
}

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

/** Removes a dead master's record and socket, unless someone else has done so and a new one stands there. */
export function takeAway(file: string, stale: InstanceRecord, dir: string): void {
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
    removeEmpty(dir);
  }
}

/** What nothing is in any more. */
export function removeEmpty(dir: string): void {
  try {
    rmdirSync(dir);
  } catch {
    // Others are still in it.
  }
}

function releaseDeadLock(lock: string): void {
  try {
    const holder = JSON.parse(readFileSync(lock, 'utf8')) as ProcessIdentity;
    if (!isRunning(holder)) rmSync(lock, { force: true });
  } catch {
    // Just made or just gone.
  }
}

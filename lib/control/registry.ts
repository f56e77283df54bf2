import {
  lstatSync, readFileSync, readdirSync, readlinkSync, realpathSync, rmSync, rmdirSync, statSync, unlinkSync, writeFileSync,
} from 'node:fs';
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
  if (found.length > 0) return found;
  await lostAreBack(query.title);
  return meant(query, await listInstances(allPlaces()));
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
  const others = new Set(controlSockets().map(({ dir }) => dir));
  return [...places, ...[...others].filter((dir) => !places.includes(dir) && isOwnDirectory(dir))];
}

/** A socket at which a master listens, under the name that it was made by, which stays when the file is gone. */
interface ControlSocket { dir: string; id: string; inode: string; pid: number }

const SOCKET = /^\S+: \S+ \S+ 00010000 \S+ \S+ +(\d+) (\/.*\/(?:\.?hatchery|hatchery-\d+))\/([0-9a-z]{16})\.(\S+)$/gm;

function controlSockets(): ControlSocket[] {
  try {
    return [...readFileSync('/proc/net/unix', 'utf8').matchAll(SOCKET)]
      .map(([, inode = '', dir = '', id = '', ending = '']) => ({ dir, id, inode, pid: Number.parseInt(ending, 10) || 0 }));
  } catch {
    return [];
  }
}

/** A master makes its record anew within 5 s; it is given some more, ms. */
const LOST = 7_000;
const AGAIN = 100;

/**
 * Waits until the masters of this user that live without a record, as somebody has removed it, have made it anew; those of one
 * title, where that is given. Returns the ones that have not.
 */
export async function lostAreBack(title?: string): Promise<readonly { id: string; pid: number }[]> {
  for (const until = performance.now() + LOST; ;) {
    const lost = controlSockets().filter((one) => !readRecord(path.join(one.dir, `${one.id}.json`)) && isMasters(one, title));
    if (lost.length === 0 || performance.now() > until) return lost;
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }
}

/** It is a process of this user here that has the socket open, and the title is its own as far as can be seen. */
function isMasters({ pid, inode }: ControlSocket, title?: string): boolean {
  try {
    const at = `/proc/${pid}`;
    if (pid === 0 || statSync(at).uid !== process.getuid?.()) return false;
    const shown = readFileSync(`${at}/cmdline`, 'utf8').replace(/\0[^]*$/, '').trim();
    if (title !== undefined && !`${title}: master`.startsWith(shown)) return false;
    return readdirSync(`${at}/fd`).some((fd) => linkOf(`${at}/fd/${fd}`) === `socket:[${inode}]`);
  } catch {
    // It has just ended, or is another namespace's.
    return false;
  }
}

function linkOf(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
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

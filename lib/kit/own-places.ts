import { accessSync, chmodSync, constants, lstatSync, mkdirSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { isRunning, ownIdentity } from './processes.js';

/** Longest path of a unix socket in bytes, macOS counting less than Linux (sun_path). */
const LONGEST_SOCKET_PATH = 103;
/** What follows the place: `/`, a name of 16 characters, and of a draft its pid and ending. */
const ROOM = 28;

const windows = process.platform === 'win32';

/**
 * Where records, sockets and files of this user's masters may lie, the best place first: the home directory, which nobody
 * cleans and which is the same for a service, a shell and cron; then what is cleaned by age; at last what goes at logout
 * (XDG_RUNTIME_DIR) or with somebody's job (TMPDIR).
 */
export function placesToWrite(env: NodeJS.ProcessEnv = process.env): string[] {
  const owner = process.getuid?.() ?? os.userInfo().username;
  const home = homeOf(env);
  const runtime = env.XDG_RUNTIME_DIR;
  const dirs = [
    ...(home === null ? [] : [path.join(home, '.hatchery')]),
    ...(windows ? [] : [`/var/tmp/hatchery-${owner}`, `/tmp/hatchery-${owner}`]),
    ...(runtime && path.isAbsolute(runtime) && isOwnDirectory(runtime) ? [path.join(runtime, 'hatchery')] : []),
    path.join(os.tmpdir(), `hatchery-${owner}`),
  ];
  return [...new Set(dirs)].filter((dir) => windows || Buffer.byteLength(dir) + ROOM <= LONGEST_SOCKET_PATH);
}

/**
 * The places that exist and are safe to read: a start with XDG_RUNTIME_DIR and a stop without it must still meet, and 0.1.0
 * wrote there first.
 */
export function placesToRead(): string[] {
  const usual = process.getuid ? [`/run/user/${process.getuid()}/hatchery`] : [];
  return [...new Set([...placesToWrite(), ...usual])].filter(isOwnDirectory);
}

/** $HOME where it is this user's, as sudo may leave another one's; else what the system says. Null: there is none that is ours. */
function homeOf({ HOME }: NodeJS.ProcessEnv): string | null {
  if (HOME && path.isAbsolute(HOME) && isOwned(HOME)) return HOME;
  try {
    const { homedir } = os.userInfo();
    return isOwned(homedir) ? homedir : null;
  } catch {
    // A container's user that has no entry.
    return null;
  }
}

/** The first place that can be made, and written to; throws the reason of the first one when there is none. */
export function makeOwnPlace(): string {
  let reason: unknown;
  for (const dir of placesToWrite()) {
    try {
      makeOwnDirectory(dir);
      return dir;
    } catch (error) {
      reason ??= error;
    }
  }
  throw reason ?? noPlace();
}

export const noPlace = (): Error => new Error('no directory has a path short enough for a socket');

/** Makes it, of this user alone, unless it is there; throws where it cannot be made or is not to be trusted. */
export function makeOwnDirectory(dir: string): void {
  try {
    mkdirSync(dir, { mode: 0o700, recursive: false });
    return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  if (!isOwnDirectory(dir)) throw new Error(`${dir} is not a directory of ours alone`);
  if (windows) return;
  // Of a directory that is ours and that nobody else may write to, only the names were to be read.
  if ((lstatSync(dir).mode & 0o777) !== 0o700) chmodSync(dir, 0o700);
  accessSync(dir, constants.W_OK | constants.X_OK);
}

/** A real directory, owned by us and writable for nobody else: in a shared /tmp anyone may have made it before us. */
export function isOwnDirectory(dir: string): boolean {
  try {
    const stat = lstatSync(dir);
    if (!stat.isDirectory()) return false;
    return process.getuid === undefined || (stat.uid === process.getuid() && (stat.mode & 0o022) === 0);
  } catch {
    return false;
  }
}

function isOwned(dir: string): boolean {
  try {
    const { uid } = statSync(dir);
    return process.getuid === undefined || uid === process.getuid();
  } catch {
    return false;
  }
}

/** Longest path of such a directory in bytes: a socket in a folder of it has to fit (sun_path, macOS counting less). */
const LONGEST = 80;

let serial = 0;

/**
 * A directory of one master alone, for sockets and files that end with it: 0700, in a place of the user (own-places.ts). A
 * cleaner may take it, so whoever needs it asks for its path each time; it is made anew then, elsewhere if that is not
 * possible any more. Its name says whose it is, so that the next master removes what one has left that was killed.
 */
export class ProcessDir {
  readonly #name = nameOf(++serial);
  readonly #made: (dir: string) => void;
  #path: string | null = null;
  readonly #onExit = () => this.remove();

  /** `made`: told of each path that is in use from now on. */
  constructor(made: (dir: string) => void = () => {}) {
    this.#made = made;
  }

  /** Throws what the file system says where it cannot be made. */
  get path(): string {
    if (this.#path !== null && isOwnDirectory(path.dirname(this.#path)) && isOwnDirectory(this.#path)) return this.#path;
    let reason: unknown;
    for (const place of placesToWrite()) {
      const dir = path.join(place, this.#name);
      if (Buffer.byteLength(dir) > LONGEST) continue;
      try {
        makeOwnDirectory(place);
        makeOwnDirectory(dir);
        return this.#use(dir);
      } catch (error) {
        reason ??= error;
      }
    }
    throw reason ?? new Error('no directory has a path short enough for a socket');
  }

  /** A folder in it. Nobody else can write here: what stands in its place is a cleaner's doing. */
  folder(name: string): string {
    const dir = path.join(this.path, name);
    if (isOwnDirectory(dir)) return dir;
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { mode: 0o700 });
    return dir;
  }

  remove(): void {
    process.off('exit', this.#onExit);
    if (this.#path === null) return;
    try {
      rmSync(this.#path, { recursive: true, force: true });
      rmdirSync(path.dirname(this.#path));
    } catch {
      // Others are still in its place.
    }
    this.#path = null;
  }

  #use(dir: string): string {
    if (dir !== this.#path) {
      sweep(path.dirname(dir));
      process.off('exit', this.#onExit);
      process.once('exit', this.#onExit);
      this.#made(dir);
    }
    this.#path = dir;
    return dir;
  }
}

const nameOf = (number: number): string => {
  const { pid, startedTick } = ownIdentity();
  return ['p', hostMark(), pid.toString(36), (startedTick ?? 0).toString(36), number].join('.');
};

/** A home directory may be shared by machines, whose processes we do not see. */
function hostMark(): string {
  let sum = 0;
  for (const letter of os.hostname()) sum = (sum * 31 + letter.charCodeAt(0)) % 36 ** 4;
  return sum.toString(36);
}

/** Removes what masters have left that nobody could clean up after. */
function sweep(place: string): void {
  for (const name of readdirSync(place)) {
    const [mark, host, pid = '', tick = '', number] = name.split('.');
    if (mark !== 'p' || host !== hostMark() || number === undefined) continue;
    if (isRunning({ pid: parseInt(pid, 36), startedTick: parseInt(tick, 36) || null })) continue;
    const dir = path.join(place, name);
    if (lstatSync(dir, { throwIfNoEntry: false })?.isDirectory()) rmSync(dir, { recursive: true, force: true });
  }
}

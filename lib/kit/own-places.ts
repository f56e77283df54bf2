import { accessSync, chmodSync, constants, lstatSync, mkdirSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

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

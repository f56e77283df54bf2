import { accessSync, chmodSync, constants, lstatSync, mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Longest path of a unix socket in bytes, macOS counting less than Linux (sun_path). */
const LONGEST_SOCKET_PATH = 103;
/** `/`, an id of 16 letters and `.sock`. */
const FILE_LENGTH = 22;

/** Where records and sockets of a user's instances may lie, the best place first. */
export function candidateDirs(env: NodeJS.ProcessEnv = process.env): string[] {
  const owner = process.getuid?.() ?? os.userInfo().username;
  const runtime = env.XDG_RUNTIME_DIR;
  const dirs = [
    ...(runtime && path.isAbsolute(runtime) && isOwn(runtime) ? [path.join(runtime, 'hatchery')] : []),
    path.join(os.tmpdir(), `hatchery-${owner}`),
    ...(process.platform === 'win32' ? [] : [`/tmp/hatchery-${owner}`]),
  ];
  return [...new Set(dirs)].filter((dir) => process.platform === 'win32' || Buffer.byteLength(dir) + FILE_LENGTH <= LONGEST_SOCKET_PATH);
}

/** The places that exist and are safe to read: a start with XDG_RUNTIME_DIR and a stop without it must still meet. */
export function readableDirs(): string[] {
  const usual = process.getuid ? [`/run/user/${process.getuid()}/hatchery`] : [];
  return [...new Set([...candidateDirs(), ...usual])].filter(isOwn);
}

/** Makes the directory of this user's instances; throws the reason when there is no place that is safe and writable. */
export function makeInstanceDir(): string {
  let reason: unknown;
  for (const dir of candidateDirs()) {
    try {
      mkdirSync(dir, { mode: 0o700, recursive: false });
      return dir;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        reason ??= error;
        continue;
      }
    }
    if (!isOwn(dir)) {
      reason ??= new Error(`${dir} is not a directory of ours alone`);
      continue;
    }
    try {
      if (process.platform !== 'win32') chmodSync(dir, 0o700);
      accessSync(dir, constants.W_OK | constants.X_OK);
      return dir;
    } catch (error) {
      reason ??= error;
    }
  }
  throw reason ?? new Error('no directory has a path short enough for a socket');
}

/** A real directory, owned by us and writable for nobody else: in a shared /tmp anyone may have made it before us. */
function isOwn(dir: string): boolean {
  try {
    const stat = lstatSync(dir);
    if (!stat.isDirectory()) return false;
    return process.getuid === undefined || (stat.uid === process.getuid() && (stat.mode & 0o022) === 0);
  } catch {
    return false;
  }
}

import { lstatSync, mkdirSync, readdirSync, rmSync, rmdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { isOwnDirectory, makeOwnDirectory, placesToWrite } from './own-places.js';
import { isRunning, ownIdentity } from './processes.js';

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

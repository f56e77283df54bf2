import { isAscii } from 'node:buffer';
import {
  closeSync, constants, fstatSync, futimesSync, lstatSync, mkdirSync, openSync, readSync, readdirSync, renameSync, rmSync, rmdirSync,
  writeFileSync, type Stats,
} from 'node:fs';
import Module from 'node:module';
import os from 'node:os';
import path from 'node:path';
import vm from 'node:vm';
import { crc32 } from 'node:zlib';

/** Milliseconds. */
const AFTER = 2_000;
const DAY = 24 * 3_600_000;
/** What nobody has used for so long goes; a draft is written in milliseconds. */
const UNUSED = 30 * DAY;
const ABANDONED = 3_600_000;
/** Bytes of a kept file: what it is, its length and its checksum, and then what V8 made; a file that is longer is none of ours. */
const HEADER = 16;
/** Characters in which the name of a bundle's content is found. */
const FIRST_LINE = 40;
const MAGIC = 0x48_54_43_31;
const LONGEST = 64 * 1024 * 1024;
/** Names of ours, as the directory may be shared with Node's own cache. */
const PLACE = /^v\d+\.\d+\.\d+[^/]*-\w+$/;
const ENTRY = /^\w{16}-\w+-\w*\.bin$/;
const DRAFT = /^\w{16}-\w+-\w*\.bin\.\d+$/;

interface Loader {
  (id: string): unknown;
  _cache: Record<string, NodeModule>;
  wrap(source: string): string;
}

/**
 * Loads a CommonJS file with what V8 compiled of it the last time, and gives its exports: compiling is half of what the
 * command line costs, and every worker pays for it as well (`npm run bench -- start`). The first line of the file names its
 * content, and V8 itself checks its version and flags; but stacks show the path that was compiled, so that another
 * installation of the same version needs its own. `use` tells apart what needs other functions of the file; `keeps`: whether
 * this process is to keep what it compiles. What it uses of Node is looked after by the probe of lib/node/modules.ts.
 */
export function loadCompiled(file: string, use: string, keeps = true): unknown {
  // A sandbox with classes of its own, such as jest's, has a `require` that knows it, and errors of ours are to be errors there.
  if (vm.runInThisContext('globalThis') !== globalThis) return Module.createRequire(file)(file);
  const loader = Module as unknown as Loader;
  const loaded = loader._cache[file];
  if (loaded) return loaded.exports;
  const { name, source, room } = readWrapped(file, loader);
  const place = placeOfKept();
  const kept = place === null ? null : path.join(place, `${name}-${hash(file)}-${use}.bin`);
  const cachedData = kept === null ? undefined : readKept(kept, room);
  const script = new vm.Script(source, {
    filename: file, cachedData, importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  const module = new Module(file);
  Object.assign(module, { filename: file, paths: [] });
  loader._cache[file] = module;
  const run = script.runInThisContext() as (...args: unknown[]) => void;
  run(module.exports, Module.createRequire(file), module, file, path.dirname(file));
  module.loaded = true;
  if (kept !== null && keeps) {
    const isNew = !cachedData || script.cachedDataRejected;
    // The master looks for what goes; for the end of a child others wait.
    const sweeps = process.connected !== true;
    if (isNew || sweeps) afterStart(() => {
      if (isNew) keep(kept, script.createCachedData());
      if (sweeps) sweep(path.dirname(path.dirname(kept)));
    });
  }
  return module.exports;
}

/**
 * Made one text at once: of a megabyte each copy costs, and what is given to V8 stays. What it was read into has `room` for what
 * is kept compiled, which is about as long: memory that nobody has written to yet costs nothing.
 */
function readWrapped(file: string, loader: Loader): { name: string | undefined; source: string; room: Buffer } {
  const [head = '', tail = ''] = loader.wrap('\0').split('\0');
  const descriptor = openSync(file, 'r');
  try {
    const { size } = fstatSync(descriptor);
    const length = head.length + size + tail.length;
    const room = Buffer.allocUnsafeSlow(2 * length);
    const all = room.subarray(0, length);
    all.write(head, 'latin1');
    if (readSync(descriptor, all, head.length, size, 0) !== size) throw new Error(`${file} changes while it is read`);
    all.write(tail, head.length + size, 'latin1');
    const name = /\w+/.exec(all.toString('latin1', head.length, head.length + FIRST_LINE))?.[0];
    return { name, source: all.toString(isAscii(all) ? 'latin1' : 'utf8'), room };
  } finally {
    closeSync(descriptor);
  }
}

/** A text that is kept as compiled code is, under a name of 16 letters, and what it is about; null: nothing can be kept. */
export function keptText(name: string, about: string): { text: string | undefined; write(text: string): void } | null {
  const place = placeOfKept();
  if (place === null) return null;
  const file = path.join(place, `${name}-${hash(about)}-.bin`);
  return { text: readKept(file)?.toString(), write: (text) => keep(file, Buffer.from(text)) };
}

function placeOfKept(): string | null {
  const dir = codeDirectory();
  return dir === null ? null : path.join(dir, `${process.version}-${process.arch}`);
}

/** The user's directory for compiled code; null where none is wanted. It may be missing yet. */
function codeDirectory(): string | null {
  const { NODE_COMPILE_CACHE, NODE_DISABLE_COMPILE_CACHE } = process.env;
  if (NODE_DISABLE_COMPILE_CACHE) return null;
  return NODE_COMPILE_CACHE || path.join(os.tmpdir(), `hatchery-code-${process.getuid?.() ?? os.userInfo().username}`);
}

/** Step by step: Node's recursive mkdir goes round for ever in a place such as /proc (test/cli/instances.test.ts). */
function make(dir: string): void {
  try {
    mkdirSync(dir, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** 32-bit FNV-1a: node:crypto would cost 3 ms. */
function hash(text: string): string {
  let sum = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) sum = Math.imul(sum ^ text.charCodeAt(at), 0x01000193);
  return (sum >>> 0).toString(36);
}

/** While what the start needed is still there: V8 drops code that is not used any more. At the latest at a good end. */
export function afterStart(run: () => void): void {
  const once = () => {
    clearTimeout(timer);
    process.off('exit', atExit);
    run();
  };
  const atExit = (code: number) => { if (code === 0) once(); };
  const timer = setTimeout(once, AFTER).unref();
  process.once('exit', atExit);
}

/** Code is taken from nobody else, as anyone may have made a directory, or a link, in a shared /tmp. */
function isOwn({ uid, mode }: Stats): boolean {
  return !process.getuid || (uid === process.getuid() && (mode & 0o022) === 0);
}

function isOwnDirectory(dir: string): boolean {
  const stat = lstatSync(dir, { throwIfNoEntry: false });
  return stat !== undefined && stat.isDirectory() && isOwn(stat);
}

/** The file is opened once, so that what was looked at is what is read. V8 believes whatever it is given: it gets what was written. */
function readKept(file: string, room?: Buffer): Buffer | undefined {
  let descriptor: number | undefined;
  try {
    const place = path.dirname(file);
    if (!isOwnDirectory(path.dirname(place)) || !isOwnDirectory(place)) return undefined;
    const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
    descriptor = openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    const stat = fstatSync(descriptor);
    if (!stat.isFile() || !isOwn(stat) || stat.size <= HEADER || stat.size > LONGEST) return undefined;
    const all = room && stat.size <= room.length ? room.subarray(0, stat.size) : Buffer.allocUnsafeSlow(stat.size);
    if (readSync(descriptor, all, 0, all.length, 0) !== all.length) return undefined;
    const data = all.subarray(HEADER);
    if (all.readUInt32LE(0) !== MAGIC || all.readUInt32LE(4) !== data.length || all.readUInt32LE(8) !== crc32(data)) return undefined;
    if (Date.now() - stat.mtimeMs > DAY) touch(descriptor);
    return data;
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function touch(descriptor: number): void {
  try {
    const now = new Date();
    futimesSync(descriptor, now, now);
  } catch {
    // Read-only.
  }
}

function keep(file: string, made: Buffer): void {
  const place = path.dirname(file);
  const dir = path.dirname(place);
  const draft = `${file}.${process.pid}`;
  try {
    make(dir);
    if (!isOwnDirectory(dir)) return;
    make(place);
    if (!isOwnDirectory(place)) return;
    const all = Buffer.allocUnsafeSlow(HEADER + made.length);
    made.copy(all, HEADER);
    for (const [at, word] of [MAGIC, made.length, crc32(all.subarray(HEADER)), 0].entries()) all.writeUInt32LE(word, at * 4);
    rmSync(draft, { force: true });
    writeFileSync(draft, all, { mode: 0o600, flag: 'wx' });
    renameSync(draft, file);
  } catch {
    // Read-only, or full: it starts all the same.
    remove(draft);
  }
}

/** Removes what nobody uses any more, of all versions of Node and of ours. */
function sweep(dir: string): void {
  try {
    if (!isOwnDirectory(dir)) return;
    for (const name of readdirSync(dir)) if (PLACE.test(name)) sweepPlace(path.join(dir, name));
  } catch {
    // Read-only, or gone.
  }
}

function sweepPlace(place: string): void {
  if (!isOwnDirectory(place)) return;
  let left = 0;
  for (const name of readdirSync(place)) {
    const limit = ENTRY.test(name) ? UNUSED : DRAFT.test(name) ? ABANDONED : Infinity;
    const file = path.join(place, name);
    const stat = lstatSync(file, { throwIfNoEntry: false });
    if (stat && Date.now() - stat.mtimeMs > limit) remove(file);
    else left++;
  }
  if (left === 0) rmdirSync(place);
}

function remove(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // Not ours to remove.
  }
}

import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import Module from 'node:module';
import os from 'node:os';
import path from 'node:path';
import vm from 'node:vm';

/** Milliseconds. */
const AFTER = 2_000;

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
  const loader = Module as unknown as Loader;
  const loaded = loader._cache[file];
  if (loaded) return loaded.exports;
  const source = readFileSync(file, 'utf8');
  const dir = codeDirectory();
  const place = dir === null ? null : path.join(dir, `${process.version}-${process.arch}`);
  const kept = place === null ? null : path.join(place, `${/\w+/.exec(source)?.[0]}-${hash(file)}-${use}.bin`);
  const cachedData = kept === null ? undefined : readOwn(kept);
  const script = new vm.Script(loader.wrap(source), {
    filename: file, cachedData, importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  const module = new Module(file);
  Object.assign(module, { filename: file, paths: [] });
  loader._cache[file] = module;
  const run = script.runInThisContext() as (...args: unknown[]) => void;
  run(module.exports, Module.createRequire(file), module, file, path.dirname(file));
  module.loaded = true;
  if (kept !== null && !cachedData && keeps) afterStart(() => keep(kept, script));
  return module.exports;
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
function afterStart(run: () => void): void {
  const once = () => {
    clearTimeout(timer);
    process.off('exit', atExit);
    run();
  };
  const atExit = (code: number) => { if (code === 0) once(); };
  const timer = setTimeout(once, AFTER).unref();
  process.once('exit', atExit);
}

/** Code is taken from nobody else, as anyone may have made a directory in a shared /tmp. */
function isOwn(dir: string): boolean {
  const { uid, mode } = statSync(dir);
  return !process.getuid || (uid === process.getuid() && (mode & 0o022) === 0);
}

function readOwn(file: string): Buffer | undefined {
  try {
    const place = path.dirname(file);
    return isOwn(place) && isOwn(path.dirname(place)) ? readFileSync(file) : undefined;
  } catch {
    return undefined;
  }
}

function keep(file: string, script: vm.Script): void {
  const place = path.dirname(file);
  const dir = path.dirname(place);
  const draft = `${file}.${process.pid}`;
  try {
    make(dir);
    if (!isOwn(dir)) return;
    make(place);
    writeFileSync(draft, script.createCachedData(), { mode: 0o600 });
    renameSync(draft, file);
  } catch {
    // Read-only, or full: it starts all the same.
  }
}

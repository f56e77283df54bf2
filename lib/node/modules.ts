import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import Module from 'node:module';
import os from 'node:os';
import path from 'node:path';

/** Node's own loading of an entry point: stable for a decade and used by every process manager, though not documented. */
const { runMain, _load } = Module as unknown as {
  runMain(main: string): void;
  _load(file: string, parent: null, isMain: boolean): unknown;
};

/** Runs an ES module as `node file` would, with `import.meta.main`; it is being loaded when this returns. */
export const runAsMain = (file: string): void => runMain(file);

/**
 * Runs a CommonJS module as `node file` would, so that `require.main === module` holds, and gives its exports. It goes past
 * the ES module loader, whose first use costs a worker 5 ms.
 */
export const requireAsMain = (file: string): unknown => _load(file, null, true);

/** Whether {@link requireAsMain} met CommonJS: where it found ES module syntax in a file without a `type`, it has left no main module. */
export const hasMain = (): boolean => process.mainModule !== undefined;

/** What require() does, without making a `require` for each: that looks for package.json on the whole way up. */
export const requireFile = (file: string): unknown => _load(file, null, false);

/** Files that were required so far, in their order; what an ES module imports of CommonJS is among them. */
export const requiredFiles = (): string[] => Object.keys((Module as unknown as { _cache?: object })._cache ?? {});

/** Somebody has taught require() this ending: tsx, ts-node and the like. */
export const isRequirable = (ending: string): boolean => ending in (Module as unknown as { _extensions: object })._extensions;

const WRAPPED = /^\(function \(exports, require, module, __filename, __dirname\) \{.*here.*\}\);?$/s;

/** A CommonJS and an ES module are run as main, and one is required; and what kit/compiled.ts does is there. */
export async function probe(): Promise<string | null> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'ht-probe-'));
  const write = (name: string, text: string): string => {
    const file = path.join(dir, name);
    writeFileSync(file, text);
    return file;
  };
  const shared = globalThis as { hatcheryProbe?: () => void };
  try {
    const { _cache: cache, wrap } = Module as unknown as { _cache?: Record<string, unknown>; wrap?(text: string): string };
    const plain = write('plain.cjs', 'module.exports = "plain";');
    if (requireFile(plain) !== 'plain') return '`Module._load` does not give what a file exports';
    if (!cache || !(plain in cache)) return '`Module._cache` does not have what was loaded';
    if (!WRAPPED.test(wrap?.('here') ?? '')) return '`Module.wrap` wraps in another way';
    if (!isRequirable('.js') || isRequirable('.nothing')) return '`Module._extensions` does not have the endings that can be required';
    const isMain = requireAsMain(write('main.cjs', 'module.exports = require.main === module;'));
    if (isMain !== true || !hasMain()) return '`Module._load` does not make a module the main one';
    const ran = new Promise<void>((resolve) => { shared.hatcheryProbe = resolve; });
    runAsMain(write('main.mjs', 'globalThis.hatcheryProbe();'));
    await ran;
    return null;
  } finally {
    delete shared.hatcheryProbe;
    rmSync(dir, { recursive: true, force: true });
  }
}

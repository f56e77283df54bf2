import { existsSync, readFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { importModule } from '../kit/import-module.js';
import type { BootInfo } from '../ipc/messages.js';
import { enableTypeScript, isTypeScript, stripsTypes } from './typescript.js';

/** Loads what there is to run and gives its export: of an app or agent module the default one, of a framework the module. */
export async function loadApp(boot: BootInfo): Promise<unknown> {
  const { entry } = boot;
  if (entry.kind === 'none') return undefined;
  if (isTypeScript(entry.file)) await enableTypeScript(entry.file);
  return entry.kind === 'framework' ? loadLibrary(entry.file) : defaultOf(await runAsMain(entry.file));
}

/** Node's own loading of an entry point: stable for a decade and used by every process manager, though not documented. */
const { runMain, _load } = Module as unknown as {
  runMain(main: string): void;
  _load(file: string, parent: null, isMain: true): unknown;
};

/**
 * Runs the file as `node file` would, so that `require.main === module`, `import.meta.main` and `process.argv[1]` hold.
 * CommonJS goes past the ES module loader, whose first use costs a worker 5 ms.
 */
async function runAsMain(file: string): Promise<unknown> {
  process.argv.splice(1, Infinity, file);
  const url = pathToFileURL(file).href;
  if (isEsModule(file)) {
    // Through Node's entry point, for import.meta.main. Where Node strips no types, it does not take an .mts there.
    if (stripsTypes || !file.endsWith('.mts')) runMain(file);
    return importModule(url);
  }
  try {
    const exported = _load(file, null, true);
    // Node found ES module syntax in a file without a `type`, is loading it, and has left no main module.
    return process.mainModule ? exported : importModule(url);
  } catch (error) {
    if (needsImport(error)) return importModule(url);
    throw error;
  }
}

/** What require() says of a module that is one for import(). */
const needsImport = (error: unknown): boolean => error instanceof Error
  && ['ERR_REQUIRE_ESM', 'ERR_REQUIRE_ASYNC_MODULE'].includes((error as NodeJS.ErrnoException).code ?? '');

async function loadLibrary(file: string): Promise<unknown> {
  if (isEsModule(file)) return importModule(pathToFileURL(file).href);
  try {
    return createRequire(file)(file);
  } catch (error) {
    if (!needsImport(error)) throw error;
    return importModule(pathToFileURL(file).href);
  }
}

/** By extension, else by the `type` of the package it belongs to. */
function isEsModule(file: string): boolean {
  if (/\.m[jt]s$/.test(file)) return true;
  if (!/\.[jt]s$/.test(file)) return false;
  for (let dir = path.dirname(file); ; dir = path.dirname(dir)) {
    const manifest = path.join(dir, 'package.json');
    if (existsSync(manifest)) return (JSON.parse(readFileSync(manifest, 'utf8')) as { type?: string }).type === 'module';
    if (dir === path.dirname(dir)) return false;
  }
}

/** An ES module's default export, or what a CommonJS module exports; compilers to CommonJS put the default export inside. */
function defaultOf(module: unknown): unknown {
  const exported = isNamespace(module) ? (module as { default?: unknown }).default : module;
  return typeof exported === 'object' && exported !== null && '__esModule' in exported
    ? (exported as { default?: unknown }).default
    : exported;
}

const isNamespace = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.prototype.toString.call(value) === '[object Module]';

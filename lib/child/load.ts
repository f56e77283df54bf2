import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Context, Runtime } from '../api/runtime.js';
import { WARM, type BootInfo, type Warmth } from '../ipc/messages.js';
import { ClusterError } from '../kit/errors.js';
import { importModule } from '../kit/import-module.js';
import { hasMain, isRequirable, requireAsMain, runAsMain } from '../node/modules.js';
import { startFrameworkAgent } from './framework.js';
import { defaultOf, describe, isEmpty } from './servable.js';

/** Loads what there is to run and gives its export: of an app or agent module the default one, of a framework the module. */
export async function loadApp(boot: BootInfo): Promise<unknown> {
  const { entry } = boot;
  if (entry.kind === 'none') return undefined;
  if (isTypeScript(entry.file)) await enableTypeScript(entry.file);
  return entry.kind === 'framework' ? loadLibrary(entry.file) : defaultOf(await runEntry(entry.file));
}

/** Runs the file as `node file` would, so that `require.main === module` and `import.meta.main` hold. */
async function runEntry(file: string): Promise<unknown> {
  const url = pathToFileURL(file).href;
  if (isEsModule(file)) {
    // Through Node's entry point, for import.meta.main. Where Node strips no types, it does not take an .mts there.
    if (stripsTypes || !file.endsWith('.mts')) runAsMain(file);
    return importModule(url);
  }
  try {
    const exported = requireAsMain(file);
    // Node found ES module syntax in a file without a `type`, is loading it, and has left no main module.
    return hasMain() ? exported : importModule(url);
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

/** By extension, else by the `type` of the package it belongs to; so it is with a bin, which has none. */
function isEsModule(file: string): boolean {
  if (/\.m[jt]s$/.test(file)) return true;
  if (!/\.[jt]s$/.test(file) && path.extname(file) !== '') return false;
  for (let dir = path.dirname(file); ; dir = path.dirname(dir)) {
    const manifest = path.join(dir, 'package.json');
    if (existsSync(manifest)) return typeIn(readFileSync(manifest, 'utf8')) === 'module';
    if (dir === path.dirname(dir)) return false;
  }
}

/** Node takes a package.json with a byte order mark, too. */
const typeIn = (manifest: string): string | undefined => (JSON.parse(manifest.replace(/^\uFEFF/, '')) as { type?: string }).type;

/** Loads and starts what the agent is there for; resolves when it is ready. A module with side effects alone is fine. */
export async function loadAgent(boot: BootInfo, context: Context, runtime: Runtime): Promise<void> {
  const { entry } = boot;
  const exported = await loadApp(boot);
  if (entry.kind === 'framework') return startFrameworkAgent(exported, entry, runtime);
  const value = await exported;
  if (typeof value === 'function') await (value as (context: Context) => unknown)(context);
  else if (!isEmpty(value) && typeof value !== 'object') {
    const file = 'file' in entry ? entry.file : '';
    throw new ClusterError('ERR_CLUSTER_NOT_SERVABLE',
      `the agent module ${file} exports ${describe(value)}; it has to export a function (context) => void, or nothing`);
  }
}

/** This Node runs TypeScript by itself, as far as types can be stripped. */
export const stripsTypes = Boolean((process.features as { typescript?: unknown }).typescript);

/**
 * Makes sure that a TypeScript entry can be loaded: by Node itself, by a loader that was preloaded (`require`, `import`),
 * or by the app's own tsx. Throws ERR_CLUSTER_TYPESCRIPT where there is none.
 */
export async function enableTypeScript(file: string): Promise<void> {
  await warming;
  return enable(file);
}

/** What `require` and `import` of the configuration name, in a process that runs already; seen from its working directory. */
export async function preload({ config }: BootInfo): Promise<void> {
  const from = createRequire(path.resolve('preloads.js'));
  for (const name of config.require as string[]) from(name);
  for (const name of config.import as string[]) {
    await importModule(/^[a-z]{2,}:/.test(name) ? name : pathToFileURL(from.resolve(name)).href);
  }
}

let warming: Promise<void> | undefined;

/** A process that waits to become a worker gets ready for what it is told in the environment; null: it is no such one. */
export function warmUp(): Warmth | null {
  const told = process.env[WARM];
  delete process.env[WARM];
  if (told === undefined) return null;
  const warmth = JSON.parse(told) as Warmth;
  // What fails fails again, and is told, when the app is loaded.
  if (isTypeScript(warmth.entry)) warming = enable(warmth.entry).catch(() => {});
  return warmth;
}

/** The first import() of a process takes some milliseconds longer than others. */
export async function importAhead(entry: string): Promise<void> {
  if (entry !== '' && isEsModule(entry)) await importModule('node:process');
}

async function enable(file: string): Promise<void> {
  if (stripsTypes || isRequirable('.ts')) return;
  let tsx: string;
  try {
    tsx = createRequire(file).resolve('tsx');
  } catch (cause) {
    // Some other loader was asked for: Node will say whether it can.
    if (process.execArgv.some((arg) => /^(-r|--require|--import|--loader|--experimental-loader)\b/.test(arg))) return;
    throw new ClusterError('ERR_CLUSTER_TYPESCRIPT', `${file} is TypeScript, which Node.js ${process.version} does not run by itself: `
      + 'install tsx in the app (npm install tsx), or use Node.js 22.18 or newer', { cause });
  }
  // Left alone, tsx takes the tsconfig.json of the working directory, which need not be the app's.
  const tsconfig = nearest('tsconfig.json', file);
  if (tsconfig) process.env.TSX_TSCONFIG_PATH ??= tsconfig;
  // The module of `node --import tsx`: it registers tsx for require and for import.
  await importModule(pathToFileURL(tsx).href);
}

function nearest(name: string, from: string): string | undefined {
  const dir = path.dirname(from);
  if (dir === from) return undefined;
  const file = path.join(dir, name);
  return existsSync(file) ? file : nearest(name, dir);
}

export const isTypeScript = (file: string): boolean => /\.[mc]?ts$/.test(file);

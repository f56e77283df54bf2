import { existsSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { ClusterError } from '../kit/errors.js';
import { importModule } from '../kit/import-module.js';
import { WARM } from '../ipc/messages.js';

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

let warming: Promise<void> | undefined;

/** A process that waits to become a worker gets ready for the entry that it is told in the environment. */
export function warmUp(): void {
  const file = process.env[WARM];
  delete process.env[WARM];
  // What fails fails again, and is told, when the app is loaded.
  if (file && isTypeScript(file)) warming = enable(file).catch(() => {});
}

async function enable(file: string): Promise<void> {
  if (stripsTypes || '.ts' in (Module as unknown as { _extensions: object })._extensions) return;
  let tsx: string;
  try {
    tsx = createRequire(file).resolve('tsx');
  } catch (cause) {
    // Some other loader was asked for: Node will say whether it can.
    if (process.execArgv.some((arg) => /^(-r|--require|--import|--loader|--experimental-loader)\b/.test(arg))) return;
    throw new ClusterError('ERR_CLUSTER_TYPESCRIPT',
      `${file} is TypeScript, which Node.js ${process.version} does not run by itself: install tsx in the app (npm install tsx), or use Node.js 22.18 or newer`, { cause });
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

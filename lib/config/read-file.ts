import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { ClusterError } from '../kit/errors.js';
import { isObject } from './check.js';
import { NoTypeScript } from './fresh-import.js';
import { JsonError } from './json-text.js';
import { reason } from './target.js';

const DATA = ['.json', '.yaml', '.yml'];
/** Modules: code, whose default export is the configuration. */
export const CODE: readonly string[] = ['.js', '.cjs', '.mjs', '.ts'];
const EXTENSIONS = [...DATA, ...CODE];

export const SEARCH_PLACES: readonly string[] = [
  '.clusterrc',
  ...EXTENSIONS.map((extension) => `.clusterrc${extension}`),
  ...CODE.map((extension) => `cluster.config${extension}`),
  'package.json',
];

/** The configuration files of a directory, the one that counts first. */
export function placesIn(dir: string, names: ReadonlySet<string>, manifest: Record<string, unknown>): string[] {
  return SEARCH_PLACES
    .filter((place) => names.has(place) && (place !== 'package.json' || manifest.cluster !== undefined))
    .map((place) => path.join(dir, place));
}

/**
 * What one file says, read anew at each call.
 * @param name how messages call the file
 * @throws ClusterError ERR_CLUSTER_CONFIG
 */
export async function readConfigFile(file: string, name: string): Promise<Record<string, unknown>> {
  const refuse = (text: string, cause?: unknown) => new ClusterError('ERR_CLUSTER_CONFIG', `${name}${text}`, { cause });
  const extension = path.extname(file);
  const isRc = path.basename(file) === '.clusterrc';
  if (!isRc && extension && !EXTENSIONS.includes(extension)) throw refuse(`: a configuration file ends in ${EXTENSIONS.join(', ')}`);
  let config: unknown;
  try {
    // Imported when there is a file: an app without one pays nothing for it.
    const { explorer } = await import('./explorer.js');
    config = (await explorer().load(file))?.config;
  } catch (error) {
    if (error instanceof JsonError) throw refuse(`:${error.line}:${error.column}: not valid JSON: ${error.message}`);
    if (error instanceof NoTypeScript) throw refuse(`: ${error.message}`);
    const { mark, reason: why } = error as { mark?: { line: number; column: number }; reason?: string };
    if (mark) throw refuse(`:${mark.line + 1}:${mark.column + 1}: not valid YAML: ${why ?? 'it cannot be read'}`);
    if (isUnreadable(error, file)) throw refuse(`: cannot be read: ${reason(error)}`);
    throw new ClusterError('ERR_CLUSTER_CONFIG', `${name}: ${error instanceof Error ? `${error.name}: ${gist(error)}` : String(error)}`,
      { cause: error, ...(error instanceof Error && error.stack ? { detail: ownFrames(error, file) } : {}) });
  }
  if (config === undefined || config === null) return {};
  if (!isObject(config)) throw refuse(`: expected an object of keys, found ${Array.isArray(config) ? 'a list' : `a ${typeof config}`}`);
  return config;
}

const isUnreadable = (error: unknown, file: string): boolean => {
  const { code, path: failed, syscall } = error as NodeJS.ErrnoException;
  return Boolean(code && syscall) && (failed === undefined || failed === file);
};

/** The first line; of the parsers behind cosmiconfig the second one, as theirs only says which file. */
function gist({ message }: Error): string {
  const [first = '', second] = message.split('\n');
  return /^(?:JSON|YAML) Error in .*:$/.test(first) && second ? second : first;
}

/** Where in a user's file it failed: a config or a plugin in JavaScript is code, and its author needs the line. */
export function ownFrames(error: Error, file: string): string {
  const name = path.basename(file);
  return (error.stack ?? '').split('\n')
    .filter((line) => line.includes(name) && (/^ +at /.test(line) || /:\d+$/.test(line)))
    .map((line) => line.replaceAll(/\?fresh=\d+/g, '')).join('\n');
}

/** The configuration file of an installed package's or a framework's folder, if it has one. */
export function configOfFolder(folder: string, manifest: Record<string, unknown>): string | undefined {
  return existsSync(folder) ? placesIn(folder, new Set(readdirSync(folder)), manifest)[0] : undefined;
}

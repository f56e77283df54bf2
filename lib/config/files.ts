import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import type { PublicExplorer } from 'cosmiconfig';
import { ClusterError, reason } from '../kit/errors.js';
import { isUtf16, JsonError, parseJson, UTF16 } from '../kit/json-text.js';
import { isObject, show } from '../kit/misuse.js';
import { check, inFile, plainCopy } from './check.js';
import { fillIn, type Filled } from './variables.js';
import {
  freshImport, inPatience, isDirectory, isFile, isPath, NoTypeScript, packageFolder, readPackage, resolveModule, resolvePath,
} from './modules.js';
import { configSchema, type ConfigGiven, type ConfigInput } from './schema.js';

const DATA = ['.json', '.yaml', '.yml'];
/** Modules: code, whose default export is the configuration. */
const CODE: readonly string[] = ['.js', '.cjs', '.mjs', '.ts'];
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

/** The configuration files of an installed package's or a framework's folder, the one that counts first. */
export const configsOfFolder = (folder: string, manifest: Record<string, unknown>): string[] =>
  existsSync(folder) ? placesIn(folder, new Set(readdirSync(folder)), manifest) : [];

export interface ConfigFile {
  file: string;
  /** How messages call it: relative to the target where it lies in it. */
  name: string;
  values: ConfigInput;
  /** What variables were filled in, by its path as it was written. */
  filled: Filled;
}

function displayName(file: string, dir: string): string {
  const relative = path.relative(dir, file);
  const name = relative.startsWith('..') || path.isAbsolute(relative) ? file : relative;
  return path.basename(file) === 'package.json' ? `${name}#cluster` : name || file;
}

/**
 * Configuration files and what they extend, each below all that build on it, and of a list the later ones on top; `mistakes` gets
 * a line for each wrong key or value.
 * @throws ClusterError ERR_CLUSTER_CONFIG: unreadable or malformed, a base that is not there, bases in a circle
 */
export async function readChain(firsts: readonly string[], dir: string, mistakes: string[], given: ConfigGiven): Promise<ConfigFile[]> {
  const chain: ConfigFile[] = [];
  const seen = new Set<string>();
  const read = async (file: string, above: readonly { real: string; name: string }[]): Promise<void> => {
    const here = { real: realOf(file), name: displayName(file, dir) };
    if (above.some(({ real }) => real === here.real)) {
      const circle = [...above, here].map(({ name }) => name).join(' -> ');
      throw new ClusterError('ERR_CLUSTER_CONFIG', `${above.at(-1)?.name}: extends: goes round in a circle: ${circle}`);
    }
    if (seen.has(here.real)) return;
    seen.add(here.real);
    const { name } = here;
    const { values, filled } = await readConfigFile(file, name, given, mistakes);
    mistakes.push(...check(configSchema, values, inFile(name)));
    for (const base of [values.extends ?? []].flat()) {
      if (typeof base === 'string' && base) await read(findBase(base, file, name), [...above, here]);
    }
    chain.push({ file, name, values, filled });
  };
  for (const first of firsts) await read(first, []);
  return chain;
}

/** A link to nowhere is told when it is read. */
function realOf(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

const BASE_EXTENSIONS = ['.json', '.yaml', '.yml'];

function findBase(wanted: string, file: string, name: string): string {
  const dir = path.dirname(file);
  const full = path.resolve(dir, wanted);
  const found = isPath(wanted) ? fileAt(full) : inPackage(wanted, dir) ?? fileAt(full);
  if (found) return found;
  throw new ClusterError('ERR_CLUSTER_CONFIG', `${name}: extends: ${isPath(wanted)
    ? `no configuration at ${wanted === full ? full : `${wanted} (${full})`}`
    : `cannot find package "${wanted}" from ${dir}: is it installed? A file is written "./${wanted}"`}`);
}

const fileAt = (full: string): string | undefined => isDirectory(full)
  ? configsOfFolder(full, readPackage(full))[0]
  : [full, ...BASE_EXTENSIONS.map((extension) => full + extension)].find(isFile) ?? resolvePath(full);

function inPackage(wanted: string, dir: string): string | undefined {
  const folder = packageFolder(wanted, dir);
  return (folder && configsOfFolder(folder, readPackage(folder))[0]) ?? resolveModule(wanted, dir);
}

/**
 * What one file says, read anew at each call.
 * @param name how messages call the file
 * @throws ClusterError ERR_CLUSTER_CONFIG
 */
async function readConfigFile(
  file: string, name: string, given: ConfigGiven, mistakes: string[],
): Promise<Pick<ConfigFile, 'values' | 'filled'>> {
  const refuse = (text: string, cause?: unknown) => new ClusterError('ERR_CLUSTER_CONFIG', `${name}${text}`, { cause });
  const extension = path.extname(file);
  const isRc = path.basename(file) === '.clusterrc';
  if (!isRc && extension && !EXTENSIONS.includes(extension)) throw refuse(`: a configuration file ends in ${EXTENSIONS.join(', ')}`);
  let config: unknown;
  try {
    config = (await (await explorer()).load(file))?.config;
    if (typeof config === 'function') config = await inPatience(() => (config as (given: ConfigGiven) => unknown)(given));
  } catch (error) {
    if (isFile(file) && isUtf16(readFileSync(file))) throw refuse(`: ${UTF16}`);
    if (error instanceof JsonError) throw refuse(`:${error.line}:${error.column}: not valid JSON: ${error.message}`);
    if (error instanceof NoTypeScript) throw refuse(`: ${error.message}`);
    const { mark, reason: why } = error as { mark?: { line: number; column: number }; reason?: string };
    if (mark) throw refuse(`:${mark.line + 1}:${mark.column + 1}: not valid YAML: ${why ?? 'it cannot be read'}`);
    if (isUnreadable(error, file)) throw refuse(`: cannot be read: ${reason(error)}`);
    const { findSyntaxFault } = await import('../kit/syntax-faults.js');
    const fault = await findSyntaxFault(error, file);
    if (fault) {
      const place = fault.place.startsWith(`${file}:`) ? name + fault.place.slice(file.length) : `${name}: ${fault.place}`;
      throw new ClusterError('ERR_CLUSTER_CONFIG', `${place}: SyntaxError: ${fault.message}`, { cause: error, detail: fault.frame });
    }
    throw new ClusterError('ERR_CLUSTER_CONFIG', `${name}: ${error instanceof Error ? `${error.name}: ${gist(error)}` : String(error)}`,
      { cause: error, ...(error instanceof Error && error.stack ? { detail: ownFrames(error, file) } : {}) });
  }
  if (config === undefined || config === null) return { values: {}, filled: {} };
  if (!isObject(config)) throw refuse(`: expected an object of keys, found ${Array.isArray(config) ? 'a list' : `a ${typeof config}`}`);
  const values = plainCopy(config, inFile(name)) as ConfigInput;
  // Code reads variables by itself.
  return CODE.includes(extension) ? { values, filled: {} } : fillIn(values, given.env, inFile(name), mistakes);
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
function ownFrames(error: Error, file: string): string {
  const name = path.basename(file);
  return (error.stack ?? '').split('\n')
    .filter((line) => line.includes(name) && (/^ +at /.test(line) || /:\d+$/.test(line)))
    .map((line) => line.replaceAll(/\?fresh=\d+/g, '')).join('\n');
}

type Yaml = (file: string, content: string) => unknown;

/** cosmiconfig writes on what was thrown, so it has to be an object. */
const code = (file: string): Promise<unknown> => freshImport(file).catch((error: unknown) => {
  throw error instanceof Error ? error : new Error(`it threw ${show(error)}`);
});

/** JSON or YAML; of a text that looks like JSON (with a comment, perhaps) and is neither, the JSON message is the helpful one. */
function jsonOrYaml(file: string, content: string, yaml: Yaml): unknown {
  if (!/^[{/]/.test(content.trimStart())) return yaml(file, content);
  try {
    return parseJson(content);
  } catch (error) {
    try {
      return yaml(file, content);
    } catch {
      throw error;
    }
  }
}

/**
 * By itself cosmiconfig looks for settings of its own in the working directory: it would run the app's `.config/config.js`
 * in the master, and trip over a package.json that has nothing to do with us. It is shown a directory that has none.
 */
function elsewhere<T>(make: () => T): T {
  const { cwd } = process;
  process.cwd = () => import.meta.dirname;
  try {
    return make();
  } finally {
    process.cwd = cwd;
  }
}

let made: PublicExplorer | undefined;

/**
 * cosmiconfig with loaders that read anew at each call and tell where a text is malformed. Imported when there is a file: an
 * app without one pays nothing for it.
 */
async function explorer(): Promise<PublicExplorer> {
  const { cosmiconfig, defaultLoaders } = await import('cosmiconfig');
  const yaml: Yaml = (file, content) => defaultLoaders['.yaml'](file, content);
  return made ??= elsewhere(() => cosmiconfig('cluster', {
    cache: false,
    searchStrategy: 'none',
    searchPlaces: [...SEARCH_PLACES],
    loaders: {
      ...Object.fromEntries(CODE.map((extension) => [extension, code])),
      '.json': (_file, content) => parseJson(content),
      noExt: (file, content) => jsonOrYaml(file, content, yaml),
    },
  }));
}

import { realpathSync } from 'node:fs';
import path from 'node:path';
import { ClusterError } from '../kit/errors.js';
import { check, inFile } from './check.js';
import { configOfFolder, readConfigFile } from './read-file.js';
import { isDirectory, isFile, isPath, packageFolder, readPackage, resolveModule, resolvePath } from './resolve-module.js';
import { configSchema, type ConfigInput } from './schema.js';

export interface ConfigFile {
  file: string;
  /** How messages call it: relative to the target where it lies in it. */
  name: string;
  values: ConfigInput;
}

export function displayName(file: string, dir: string): string {
  const relative = path.relative(dir, file);
  const name = relative.startsWith('..') || path.isAbsolute(relative) ? file : relative;
  return path.basename(file) === 'package.json' ? `${name}#cluster` : name || file;
}

/**
 * A configuration file and what it extends, the base first; `mistakes` gets a line for each wrong key or value.
 * @throws ClusterError ERR_CLUSTER_CONFIG: unreadable or malformed, a base that is not there, bases in a circle
 */
export async function readChain(first: string, dir: string, mistakes: string[]): Promise<ConfigFile[]> {
  const chain: ConfigFile[] = [];
  const seen: string[] = [];
  for (let file: string | undefined = first; file;) {
    const name = displayName(file, dir);
    const values = await readConfigFile(file, name) as ConfigInput;
    seen.push(realpathSync(file));
    mistakes.push(...check(configSchema, values, inFile(name)));
    chain.unshift({ file, name, values });
    file = typeof values.extends === 'string' && values.extends ? findBase(values.extends, file, name) : undefined;
    if (file && seen.includes(realpathSync(file))) {
      const circle = [...chain.map((link) => link.name).reverse(), displayName(file, dir)];
      throw new ClusterError('ERR_CLUSTER_CONFIG', `${name}: extends: goes round in a circle: ${circle.join(' -> ')}`);
    }
  }
  return chain;
}

const BASE_EXTENSIONS = ['.json', '.yaml', '.yml'];

function findBase(wanted: string, file: string, name: string): string {
  const dir = path.dirname(file);
  const full = path.resolve(dir, wanted);
  const found = isPath(wanted) ? fileAt(full) : inPackage(wanted, dir) ?? fileAt(full);
  if (found) return found;
  throw new ClusterError('ERR_CLUSTER_CONFIG', `${name}: extends: ${isPath(wanted)
    ? `no configuration at ${full}`
    : `cannot find package "${wanted}" from ${dir}: is it installed? A file is written "./${wanted}"`}`);
}

const fileAt = (full: string): string | undefined => isDirectory(full)
  ? configOfFolder(full, readPackage(full))
  : [full, ...BASE_EXTENSIONS.map((extension) => full + extension)].find(isFile) ?? resolvePath(full);

function inPackage(wanted: string, dir: string): string | undefined {
  const folder = packageFolder(wanted, dir);
  return (folder && configOfFolder(folder, readPackage(folder))) ?? resolveModule(wanted, dir);
}

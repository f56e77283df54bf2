import { realpathSync } from 'node:fs';
import path from 'node:path';
import { ClusterError } from '../kit/errors.js';
import { isDirectory, isPath, resolveModule, resolvePath } from './resolve-module.js';
import type { Place } from './target.js';

/** What there is to run, as absolute paths without symbolic links. */
export interface ResolvedEntry {
  app?: string;
  /** `true`: an agent without a module. */
  agent?: string | true;
  framework?: string;
}

export interface EntryKeys {
  app?: string;
  agent?: string | boolean;
  framework?: string;
}

const APP_NAMES = ['app', 'server', 'index'];
const EXTENSIONS = ['ts', 'mts', 'js', 'mjs', 'cjs'];

/**
 * Finds what to run: what the keys name, else what lies in the directory. Resolved anew at each call, so that a reload
 * follows a link such as `current -> releases/2`.
 * @param source names where a key was written, for the message
 * @throws ClusterError ERR_CLUSTER_APP_NOT_FOUND
 */
export function findEntry(place: Place, keys: EntryKeys, source: (key: keyof EntryKeys) => string): ResolvedEntry {
  const entry: ResolvedEntry = {};
  if (keys.framework !== undefined) entry.framework = findFramework(place, keys.framework, source('framework'));
  if (place.file) entry.app = realpathSync(place.file);
  else if (keys.app !== undefined) entry.app = named(place, keys.app, source('app'));
  // A framework loads the app.js and the agent.js of its directory itself.
  else if (!entry.framework) entry.app = findApp(place);
  const agent = findAgent(place, keys.agent, source, !entry.framework);
  if (agent) entry.agent = agent;
  return entry;
}

const notFound = (message: string) => new ClusterError('ERR_CLUSTER_APP_NOT_FOUND', message);

function named(place: Place, value: string, source: string): string {
  const full = path.resolve(place.dir, value);
  const file = resolvePath(full);
  if (!file) throw notFound(`${source}: ${isDirectory(full) ? `no module in directory ${full}` : `no such file: ${full}`}`);
  return realpathSync(file);
}

function findApp(place: Place): string {
  const { main } = place.manifest;
  const declared = typeof main === 'string' && main ? main : undefined;
  const file = (declared && resolvePath(path.join(place.dir, declared))) ?? firstOf(place, APP_NAMES);
  if (file) return realpathSync(file);
  const looked = [declared ? `"${declared}" (main of package.json)` : 'main of package.json', `{${APP_NAMES.join(',')}}.{${EXTENSIONS.join(',')}}`];
  throw notFound(`nothing to run in ${place.dir}: looked for ${looked.join(' and ')}; name it with the key "app", or a framework with "framework"`);
}

function findAgent(place: Place, key: string | boolean | undefined, source: (key: keyof EntryKeys) => string, mayFind: boolean): string | true | undefined {
  if (key === false) return undefined;
  if (typeof key === 'string') return named(place, key, source('agent'));
  const found = mayFind ? firstOf(place, ['agent']) : undefined;
  return found ? realpathSync(found) : key;
}

function firstOf(place: Place, names: readonly string[]): string | undefined {
  return names.flatMap((name) => EXTENSIONS.map((extension) => `${name}.${extension}`))
    .filter((name) => place.names.has(name))
    .map((name) => path.join(place.dir, name))
    .find((file) => resolvePath(file) === file);
}

function findFramework(place: Place, value: string, source: string): string {
  const file = resolveModule(value, place.dir) ?? (isPath(value) ? undefined : resolveModule(`./${value}`, place.dir));
  if (file) return file;
  throw notFound(isPath(value)
    ? `${source}: no module at ${path.resolve(place.dir, value)}`
    : `${source}: package "${value}" cannot be found from ${place.dir}: is it installed?`);
}

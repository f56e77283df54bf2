import { realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { ClusterError, reason } from '../kit/errors.js';
import { isObject } from '../kit/misuse.js';
import { requireBuilt } from '../kit/package.js';
import { isDirectory, isPath, packageOf, readPackage, resolveModule, resolvePath } from './modules.js';
import type { Place } from './place.js';
import { asWritten, whereWritten, type Provenance } from './provenance.js';
import { pluginDefaults } from './schema.js';

/** What a cluster is started on: a directory or an entry file, and what there is to run in it. */
export interface Target {
  /** Absolute, as the user wrote it: symbolic links are kept, so that a reload follows them anew. */
  dir: string;
  /** `dir` as it resolves now. */
  realDir: string;
  /** Working directory of the children: the directory; for an entry file the one that it was started in, as with `node file`. */
  cwd: string;
  /** Package name, else the directory's name. */
  name: string;
  entry: ResolvedEntry;
}

/** What there is to run, as absolute paths without symbolic links. */
export interface ResolvedEntry {
  app?: string;
  /** The same as plain node has it in `process.argv[1]`, where that goes by a symbolic link. */
  script?: string;
  /** `true`: an agent without a module. */
  agent?: string | true;
  framework?: string;
}

export interface EntryKeys {
  app?: string;
  agent?: string | boolean;
  framework?: string;
}

const logicalDirs = new Map<string, string>();

/**
 * The working directory as the shell shows it, symbolic links kept. Remembered at the first call: once a link such as
 * `current` points elsewhere, $PWD no longer agrees with the directory that the process is in.
 */
export function logicalCwd(): string {
  const { PWD } = process.env;
  const shown = PWD && path.isAbsolute(PWD) ? PWD : undefined;
  const cwd = realCwd();
  // It was deleted: what the shell still shows may be a link that leads elsewhere now.
  if (cwd === null) return shown ?? path.parse(process.execPath).root;
  let logical = logicalDirs.get(cwd);
  if (!logical) {
    logical = shown !== undefined && sameDirectory(shown, cwd) ? shown : cwd;
    logicalDirs.set(cwd, logical);
  }
  return logical;
}

function realCwd(): string | null {
  try {
    return process.cwd();
  } catch {
    return null;
  }
}

/**
 * A file by the path that its user knows, where a link such as `current` leads to it: that outlives the release it leads to now.
 * `given`: directories as they were given.
 */
export function throughLinks(file: string, given: readonly string[]): string {
  for (const dir of given) {
    const [link, target] = linkIn(dir);
    if (link === undefined || target === undefined || !file.startsWith(target + path.sep)) continue;
    const other = link + file.slice(target.length);
    if (sameDirectory(other, file)) return other;
  }
  return file;
}

/** `/srv/current/web`, which is `/srv/releases/1/web`: the one without, and the other without, what both end with. */
function linkIn(dir: string): string[] {
  try {
    let [link, target] = [path.resolve(dir), realpathSync(dir)];
    if (link === target) return [];
    while (path.basename(link) === path.basename(target) && path.basename(link) !== '') {
      [link, target] = [path.dirname(link), path.dirname(target)];
    }
    return [link, target];
  } catch {
    return [];
  }
}

function sameDirectory(one: string, other: string): boolean {
  try {
    return realpathSync(one) === realpathSync(other);
  } catch {
    return false;
  }
}

const APP_NAMES = ['app', 'server', 'index'];
const EXTENSIONS = ['ts', 'mts', 'js', 'mjs', 'cjs'];

/**
 * Finds what to run: what the keys name, else what lies in the directory. Resolved anew at each call, so that a reload
 * follows a link such as `current -> releases/2`.
 * @throws ClusterError ERR_CLUSTER_APP_NOT_FOUND
 */
export function findEntry(place: Place, keys: EntryKeys, provenance: Provenance): ResolvedEntry {
  const entry: ResolvedEntry = {};
  if (keys.framework !== undefined) entry.framework = findFramework(place, keys.framework, provenance);
  // A framework loads the app.js and the agent.js of its directory itself.
  const app = place.file ?? (keys.app !== undefined
    ? named(place, 'app', keys.app, provenance) : entry.framework ? undefined : findApp(place));
  if (app !== undefined) {
    entry.app = realpathSync(app);
    const script = app.startsWith(place.dir + path.sep) ? path.join(place.realDir, path.relative(place.dir, app)) : app;
    if (script !== entry.app) entry.script = script;
  }
  const agent = findAgent(place, keys.agent, provenance, !entry.framework);
  if (agent) entry.agent = agent === true ? true : realpathSync(agent);
  return entry;
}

const notFound = (message: string) => new ClusterError('ERR_CLUSTER_APP_NOT_FOUND', message);

function named(place: Place, key: 'app' | 'agent', value: string, provenance: Provenance): string {
  const full = path.resolve(place.dir, value);
  const file = resolvePath(full);
  if (file) return file;
  const what = isDirectory(full) ? 'no module in directory' : 'no such file:';
  throw notFound(`${whereWritten(provenance, [key])}: ${what} ${asWritten(provenance, [key], full)}`);
}

function findApp(place: Place): string {
  const { main } = place.manifest;
  const declared = typeof main === 'string' && main ? main : undefined;
  const file = (declared && resolvePath(path.join(place.dir, declared))) ?? firstOf(place, APP_NAMES);
  if (file) return file;
  const names = `{${APP_NAMES.join(',')}}.{${EXTENSIONS.join(',')}}`;
  const looked = `${declared ? `"${declared}" (main of package.json)` : 'main of package.json'} and ${names}`;
  throw notFound(`nothing to run in ${place.dir}: looked for ${looked}; name it with the key "app", or a framework with "framework"`);
}

/** What a built-in plugin that is named after a framework tells of an app: that it is one of its. */
interface Knower {
  /** What the configuration of its apps begins with. */
  defaults?: Record<string, unknown>;
  /** `where`: the place in package.json that says so. Undefined: it is none. */
  frameworkOf?(app: Pick<Place, 'manifest' | 'dir'>): { framework: string; where: string } | undefined;
}

export interface KnownFramework {
  plugin: string;
  defaults: Record<string, unknown>;
  framework?: string;
  where?: string;
}

/**
 * The plugin that knows the app's framework, and the framework where no key names one. Asked are plugins whose name is a
 * package's that the app, or its framework, depends on, so that others load none of it. `folders`: of other frameworks beneath.
 */
export function knownFramework(
  place: Place, { app, framework }: EntryKeys, folders: readonly string[] = [],
): KnownFramework | null {
  if (framework === undefined && (place.file !== undefined || app !== undefined)) return null;
  const main = framework === undefined ? undefined : resolveModule(framework, place.dir);
  const manifests = [place.manifest, ...[...main === undefined ? [] : [packageOf(main)], ...folders].map(readPackage)];
  for (const plugin of Object.keys(pluginDefaults('start'))) {
    if (!manifests.some((manifest) => names(manifest, plugin))) continue;
    const { frameworkOf, defaults = {} } = requireBuilt(`plugins/${plugin}/index.cjs`) as Knower;
    const found = frameworkOf && (framework === undefined ? frameworkOf(place) : {});
    if (found) return { plugin, defaults, ...found };
  }
  return null;
}

function names(manifest: Record<string, unknown>, name: string): boolean {
  const { dependencies, peerDependencies } = manifest;
  return manifest.name === name || [manifest, dependencies, peerDependencies].some((map) => isObject(map) && Object.hasOwn(map, name));
}

function findAgent(
  place: Place, key: string | boolean | undefined, provenance: Provenance, mayFind: boolean,
): string | true | undefined {
  if (key === false) return undefined;
  if (typeof key === 'string') return named(place, 'agent', key, provenance);
  const found = mayFind ? besideEntry(place) ?? firstOf(place, ['agent']) : undefined;
  return found ?? key;
}

/** A build has both in one folder. */
function besideEntry({ file, dir }: Place): string | undefined {
  const own = file === undefined ? dir : path.dirname(file);
  if (own === dir) return undefined;
  return EXTENSIONS.map((extension) => path.join(own, `agent.${extension}`)).find((agent) => resolvePath(agent) === agent);
}

function firstOf(place: Place, names: readonly string[]): string | undefined {
  return names.flatMap((name) => EXTENSIONS.map((extension) => `${name}.${extension}`))
    .filter((name) => place.names.has(name))
    .map((name) => path.join(place.dir, name))
    .find(isThere);
}

/** It is in the directory's listing: where it cannot be looked at, it is not gone, and a reload must not go on without it. */
function isThere(file: string): boolean {
  try {
    return statSync(file).isFile();
  } catch (error) {
    // A link that leads nowhere.
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw new ClusterError('ERR_CLUSTER_APP_NOT_FOUND', `${file}: cannot be looked at: ${reason(error)}`);
  }
}

function findFramework(place: Place, value: string, provenance: Provenance): string {
  const file = resolveModule(value, place.dir) ?? (isPath(value) ? undefined : resolveModule(`./${value}`, place.dir));
  if (file) return file;
  const source = whereWritten(provenance, ['framework']);
  throw notFound(isPath(value)
    ? `${source}: no module at ${asWritten(provenance, ['framework'], path.resolve(place.dir, value))}`
    : `${source}: package "${value}" cannot be found from ${place.dir}: is it installed?`);
}

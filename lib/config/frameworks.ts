import { realpathSync } from 'node:fs';
import path from 'node:path';
import { ClusterError } from '../kit/errors.js';
import { configsOfFolder, readChain, type ConfigFile } from './files.js';
import { fileLayers, settle, type WrittenLayer } from './layers.js';
import { ownVersion } from '../kit/package.js';
import { freshImport, isPath, packageFolder, packageOf, readPackage, resolveModule, resolvePath } from './modules.js';
import type { Place } from './place.js';
import { instanceIn, isBuiltIn, type PluginObjects } from './plugin-objects.js';
import { mergeLayers, whereWritten } from './provenance.js';
import type { ConfigGiven, PluginObject } from './schema.js';

/** A framework that an app stands on. */
export interface FrameworkUse {
  /** Of its package; else its folder's. */
  name: string;
  version?: string;
  /** Its package's folder, without symbolic links. */
  folder: string;
  /** Its main module. */
  file: string;
  /** The version of hatchery that its code has, where that is not this one. */
  hatchery?: string;
}

/** A command line of its own says which framework its apps have, where they say nothing. */
export interface FrameworkRequest {
  /** A package's name, or an absolute path. */
  name: string;
  /** Absolute; where it is looked for if the app has none of this name. */
  from: string;
}

/** The app's own one first, as that is what its code runs with. */
export function frameworkFor({ name, from }: FrameworkRequest, place: Place): string {
  if (isPath(name) || resolveModule(name, place.dir) !== undefined) return name;
  const dir = path.dirname(realpathSync(from));
  const folder = packageOf(path.join(dir, 'noop.js'));
  return resolveModule(name, dir) ?? (readPackage(folder).name === name ? folder : name);
}

/** What an app's frameworks bring with them, the one that all others stand on first. */
export interface Frameworks {
  uses: FrameworkUse[];
  files: ConfigFile[];
  layers: WrittenLayer[];
}

interface Reading {
  place: Place;
  given: ConfigGiven;
  /** Gets plugin objects of their configurations. */
  objects: PluginObjects;
  mistakes: string[];
}

/**
 * The configurations that a framework's package carries, as defaults for its applications: `cluster` of package.json, and above it
 * a file. Its key `framework` names the one that it extends.
 * @throws ClusterError ERR_CLUSTER_CONFIG: that is not there, or they go round in a circle
 */
export async function frameworksOf(specifier: string, { place, given, objects, mistakes }: Reading): Promise<Frameworks> {
  const found: Frameworks = { uses: [], files: [], layers: [] };
  let wanted: string | undefined = specifier;
  for (let from = place.dir; wanted !== undefined;) {
    const file = resolveModule(wanted, from);
    const folder = file && packageOf(file);
    // One that lies in the app itself has the app's own package.json above it, which was read already.
    if (!folder || folder === place.realDir) break;
    const manifest = readPackage(folder);
    found.uses.unshift({
      name: typeof manifest.name === 'string' ? manifest.name : path.basename(folder),
      ...(typeof manifest.version === 'string' ? { version: manifest.version } : {}),
      folder, file,
      ...otherVersion(folder),
    });
    const [first, ...others] = configsOfFolder(folder, manifest);
    const own = others.find((other) => path.basename(other) === 'package.json');
    const files = await readChain([own, first].filter((one) => one !== undefined), place.dir, mistakes, given);
    const layers = fileLayers(files, given.profile)
      .map((layer): WrittenLayer => ({ ...layer, origin: (at) => ({ ...layer.origin(at), from: 'framework' }) }))
      .map((layer) => settle(layer, place.dir, objects, mistakes));
    found.files.unshift(...files);
    found.layers.unshift(...layers);
    [wanted, from] = [base(layers, folder, found.uses), folder];
  }
  return found;
}

/** A framework that is linked, or has us among its dependencies, brings a copy of its own. */
function otherVersion(folder: string): { hatchery?: string } {
  const own = packageFolder('hatchery', folder);
  const { version } = own === undefined ? {} : readPackage(own);
  return typeof version === 'string' && version !== ownVersion() ? { hatchery: version } : {};
}

/** A line for each framework with another version of us. */
export const mixedVersions = (frameworks: readonly FrameworkUse[]): string[] => frameworks.flatMap(({ name, hatchery, folder }) =>
  hatchery === undefined ? [] : [`${name} has hatchery ${hatchery} of its own (${folder}), and this is ${ownVersion()}: `
    + 'make hatchery a peer dependency of it, or install the same version in both']);

/** What a framework extends. */
function base(layers: readonly WrittenLayer[], folder: string, above: readonly FrameworkUse[]): string | undefined {
  const { values, provenance } = mergeLayers(layers);
  if (typeof values.framework !== 'string') return undefined;
  const refused = (what: string) => new ClusterError('ERR_CLUSTER_CONFIG', `${whereWritten(provenance, ['framework'])}: ${what}`);
  const file = resolveModule(values.framework, folder);
  if (!file) {
    throw refused(isPath(values.framework)
      ? `no module at ${values.framework}` : `package "${values.framework}" cannot be found from ${folder}: is it installed?`);
  }
  // It may name itself, for those who start it where it lies.
  if (packageOf(file) === folder) return undefined;
  if (above.some((one) => one.folder === packageOf(file))) {
    const circle = [...above.toReversed().map(({ name }) => name), values.framework].join(' -> ');
    throw refused(`goes round in a circle: ${circle}`);
  }
  return values.framework;
}

/** Layers in which each plugin has one key, whoever names it, and where a package's name among the keys is looked for. */
interface Named {
  layers: WrittenLayer[];
  dirs: Record<string, string[]>;
  /** By which plugins may be named besides. */
  names: string[];
}

/**
 * A plugin that a lower layer has, a framework's or a base's, is named by upper ones as there, by its subpath or its file, or by
 * the plugin's own name: all of them come to the key of the lowest. Its package is looked for where it is first switched on, as
 * what a framework depends on need not be there for the app.
 */
export async function pluginsByOneName(
  layers: readonly WrittenLayer[], { objects, frameworks }: { objects: PluginObjects; frameworks: readonly FrameworkUse[] },
): Promise<Named> {
  const dirs: Record<string, string[]> = {};
  const fileOf = (key: string, from: readonly string[]): string | undefined => {
    const { specifier = key, instance = '' } = instanceIn(key) ?? {};
    const inner = frameworks.find(({ name }) => specifier.startsWith(`${name}/`));
    const file = from.map((dir) => resolveModule(specifier, dir)).find(Boolean)
      ?? (inner && resolvePath(path.join(inner.folder, specifier.slice(inner.name.length))));
    return file && `${file}#${instance}`;
  };
  const names = new Map<string, string>();
  const askNames = async (): Promise<void> => {
    for (const key of Object.keys(dirs).filter((one) => ![...names.values()].includes(one))) {
      const name = await nameOf(key, objects[key] ?? fileOf(key, dirs[key] as string[])?.replace(/#[^#]*$/, ''));
      if (name !== undefined) names.set(name, key);
    }
  };
  const keyOf = async (key: string, dir: string, lower: readonly string[]): Promise<string> => {
    if (lower.length === 0 || lower.includes(key) || Object.hasOwn(objects, key)) return key;
    const file = fileOf(key, [dir]);
    if (file !== undefined) return lower.find((other) => fileOf(other, dirs[other] as string[]) === file) ?? key;
    await askNames();
    return names.get(key) ?? key;
  };
  const renamed: WrittenLayer[] = [];
  for (const layer of layers) {
    const given = Object.entries((layer.values.plugins ?? {}) as Record<string, unknown>);
    if (given.every(([key]) => isBuiltIn(key))) {
      renamed.push(layer);
      continue;
    }
    const lower = Object.keys(dirs);
    const plugins: Record<string, unknown> = {};
    const as = new Map<string, string>();
    for (const [key, value] of given) {
      const known = isBuiltIn(key) ? key : await keyOf(key, layer.dir, lower);
      if (known !== key) as.set(known, key);
      plugins[known] = value;
      if (!isBuiltIn(key)) (dirs[known] ??= []).push(...value === false ? [] : [layer.dir]);
    }
    renamed.push({
      ...layer,
      values: { ...layer.values, plugins },
      origin: (at) => {
        const own = at[0] === 'plugins' ? as.get(at[1] as string) : undefined;
        return own === undefined ? layer.origin(at) : { ...layer.origin(['plugins', own, ...at.slice(2)]), as: own };
      },
    });
  }
  return { layers: renamed, dirs, names: [...names.keys()] };
}

/** The name that a plugin has for itself; undefined where it cannot be asked, which is told when it is applied. */
async function nameOf(key: string, given: unknown): Promise<string | undefined> {
  try {
    const plugin = typeof given === 'string' ? await freshImport(given) : given;
    const { name } = (typeof plugin === 'function' ? new (plugin as new () => PluginObject)() : plugin) as PluginObject;
    const instance = instanceIn(key)?.instance;
    return typeof name !== 'string' ? undefined : instance === undefined ? name : `${name}#${instance}`;
  } catch {
    return undefined;
  }
}

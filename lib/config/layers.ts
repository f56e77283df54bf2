import path from 'node:path';
import { nearest } from '../kit/nearest.js';
import { readChain, type ConfigFile } from './file-chain.js';
import type { Layer, Origin } from './merge.js';
import { configOfFolder } from './read-file.js';
import { folderOf, readPackage, resolveModule } from './resolve-module.js';
import { defaults, pluginDefaults } from './schema.js';
import type { Place } from './target.js';

/** A mistyped `--env` would silently run without its overlay. */
export function unknownProfile(name: string, chain: readonly ConfigFile[]): string[] {
  const known = new Set(chain.flatMap(({ values }) => Object.keys(values.profiles ?? {})));
  if (known.has(name) || ['production', 'development', 'test'].includes(name)) return [];
  const meant = nearest(name, [...known, 'production', 'development', 'test']);
  const where = chain.at(-1)?.name ?? 'the configuration';
  return [`--env: no profile "${name}" in ${where}${meant ? `, did you mean "${meant}"?` : known.size ? `; known are ${[...known].join(', ')}` : ''}`];
}

/** A layer and the directory that its relative paths count from. */
export interface WrittenLayer extends Layer {
  dir: string;
}

const ofFile = new Set(['$schema', 'extends', 'profiles']);

/** The files first, then their profiles, the base below what extends it. */
export function fileLayers(chain: readonly ConfigFile[], profile: string): WrittenLayer[] {
  const layer = (link: ConfigFile, values: Record<string, unknown>, from: Origin['from'], where: string): WrittenLayer =>
    ({ values, dir: path.dirname(link.file), origin: () => ({ from, where }) });
  const files = chain.map((link, index) => {
    const values = Object.fromEntries(Object.entries(link.values).filter(([key]) => !ofFile.has(key)));
    return layer(link, values, index === chain.length - 1 ? 'file' : 'extends', link.name);
  });
  const overlays = chain.flatMap((link) => {
    const { profiles } = link.values;
    const overlay = profiles && Object.hasOwn(profiles, profile) ? profiles[profile] : undefined;
    return overlay ? [layer(link, overlay, 'profile', `${link.name}: profiles.${profile}`)] : [];
  });
  return [...files, ...overlays];
}

/** The configuration that a framework's package carries, as defaults for its applications. */
export async function frameworkDefaults(specifier: string, place: Place, mistakes: string[]): Promise<ConfigFile[]> {
  const main = resolveModule(specifier, place.dir);
  const folder = main && folderOf(main);
  // A framework that lies in the app itself has the app's own package.json above it, which was read already.
  if (!folder || folder === place.realDir) return [];
  const file = configOfFolder(folder, readPackage(folder));
  return file ? readChain(file, place.dir, mistakes) : [];
}

export function builtIn(place: Place, command: 'start' | 'dev'): Layer {
  const values = { ...defaults, title: place.name, ...(command === 'dev' ? { workers: 1 } : {}), plugins: pluginDefaults(command) };
  return { values, origin: () => ({ from: 'default' }) };
}

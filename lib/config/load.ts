import { realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { ClusterError } from '../kit/errors.js';
import type { Plugin } from '../api/plugin.js';
import { absolutePaths } from './absolute-paths.js';
import { refuse } from './check.js';
import { findEntry } from './entry.js';
import { readChain } from './file-chain.js';
import { builtIn, fileLayers, frameworkDefaults, unknownProfile, type WrittenLayer } from './layers.js';
import { mergeLayers, type Layer, type Provenance } from './merge.js';
import { separatePlugins } from './plugin-objects.js';
import { missingPreloads } from './preloads.js';
import { placesIn } from './read-file.js';
import { resolveConfig, whereWritten } from './resolve.js';
import type { Config, ProfileInput } from './schema.js';
import { fromEnv, fromFlags, fromInline } from './sources.js';
import { findPlace, logicalCwd, type Target } from './target.js';

export type { Origin, Provenance } from './merge.js';
export { revalidate } from './resolve.js';
export type { Target } from './target.js';

export interface LoadRequest {
  /** App directory or entry file, relative to `cwd`; default: `cwd`. */
  target?: string;
  /** Default: the working directory as the shell shows it, symbolic links kept. */
  cwd?: string;
  /** `dev` has other defaults: one worker, dev-reload on. Default: `start`. */
  command?: 'start' | 'dev';
  /** What the command line says. Texts are fine where a number is wanted. `config`: a file in place of the one found; `profile`: `--env`. */
  flags?: ProfileInput & { config?: string; profile?: string };
  env?: NodeJS.ProcessEnv;
  /** Library use. Ranks as the command line does. */
  inline?: ProfileInput;
}

export interface LoadedConfig {
  config: Config;
  /** Where each value comes from, by its path: `log.level`, `plugins.health-check.port`. */
  provenance: Provenance;
  /** Every file that was read, absolute paths. */
  files: string[];
  /** Configuration files of the directory that another one hides. */
  unused: string[];
  profile: string;
  target: Target;
  /** Plugin objects of JS configs, by their name in `config.plugins`. */
  pluginObjects: Record<string, Plugin>;
}

/**
 * Reads the whole configuration, afresh at each call, and finds what to run.
 * @throws ClusterError ERR_CLUSTER_CONFIG, a line for each mistake; ERR_CLUSTER_APP_NOT_FOUND
 */
export async function loadConfig(request: LoadRequest = {}): Promise<LoadedConfig> {
  const { command = 'start', env = process.env, inline = {} } = request;
  const { config: configFlag, profile: profileFlag, ...flags } = request.flags ?? {};
  const cwd = request.cwd ?? logicalCwd();
  const place = findPlace(request.target ?? '.', cwd);
  const profile = profileFlag || env.CLUSTER_ENV || env.NODE_ENV || (command === 'dev' ? 'development' : 'production');

  const mistakes: string[] = [];
  const found = placesIn(place.dir, place.names, place.manifest);
  const file = configFlag === undefined ? found[0] : configFile(configFlag, cwd);
  const chain = file ? await readChain(file, place.dir, mistakes) : [];
  if (profileFlag) mistakes.push(...unknownProfile(profileFlag, chain));
  const sources = [fromEnv(env), fromInline(inline), fromFlags(flags)];
  mistakes.push(...sources.flatMap((source) => source.mistakes));
  refuse(mistakes);

  const ownPlugins: Record<string, Plugin> = {};
  const frameworkPlugins: Record<string, Plugin> = {};
  /** A layer that others can be merged with: paths absolute, plugin objects set aside. */
  const settle = (layer: WrittenLayer, objects: Record<string, Plugin>): Layer => {
    const values = absolutePaths(layer.values, { written: layer.dir, target: place.dir });
    if (values.plugins === undefined) return { ...layer, values };
    const { map, mistakes: wrong } = separatePlugins(values.plugins, objects);
    mistakes.push(...wrong);
    return { ...layer, values: { ...values, plugins: map } };
  };
  const own = [
    ...fileLayers(chain, profile),
    // On a command line a path counts from where it is typed.
    ...sources.map((source): WrittenLayer => ({ ...source, dir: source.typed ? cwd : place.dir })),
  ].map((layer) => settle(layer, ownPlugins));

  const framework = mergeLayers(own).values.framework as string | undefined;
  const frameworkChain = framework ? await frameworkDefaults(framework, place, mistakes) : [];
  const frameworkLayers = fileLayers(frameworkChain, profile)
    .map((layer) => settle({ ...layer, origin: (at) => ({ ...layer.origin(at), from: 'framework' }) }, frameworkPlugins));
  refuse(mistakes);

  const { values, provenance } = mergeLayers([builtIn(place, command), ...frameworkLayers, ...own]);
  const config = resolveConfig(values, provenance);
  const entry = findEntry(place, config, (key) => whereWritten(provenance, [key]));
  const childDir = place.file ? realpathSync(cwd) : place.realDir;
  refuse(missingPreloads(config, childDir, (at) => whereWritten(provenance, at)));
  return {
    config,
    provenance,
    files: [...frameworkChain, ...chain].map((link) => link.file),
    unused: found.filter((other) => other !== file && configFlag === undefined),
    profile,
    target: { dir: place.dir, realDir: place.realDir, cwd: childDir, name: place.name, entry },
    pluginObjects: { ...frameworkPlugins, ...ownPlugins },
  };
}

function configFile(flag: string, cwd: string): string {
  const file = path.resolve(cwd, flag);
  if (!statSync(file, { throwIfNoEntry: false })) throw new ClusterError('ERR_CLUSTER_CONFIG', `--config: no such file: ${file}`);
  return file;
}

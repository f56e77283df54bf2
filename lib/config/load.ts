import { realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { ClusterError } from '../kit/errors.js';
import { atCaller, isObject, misuse } from '../kit/misuse.js';
import { learnGroup } from '../kit/sockets.js';
import { refuse, type Path } from './check.js';
import { placesIn, readChain } from './files.js';
import { frameworkFor, frameworksOf, pluginsByOneName, type FrameworkRequest, type FrameworkUse } from './frameworks.js';
import { builtIn, fileLayers, fromEnv, fromFlags, fromInline, settle, unknownProfile, type WrittenLayer } from './layers.js';
import { findPlace, type Place } from './place.js';
import { offForNothing, type PluginObjects } from './plugin-objects.js';
import { mergeLayers, originOf, whereWritten, type Layer, type Provenance } from './provenance.js';
import { autoWorkers, missingPreloads, resolveConfig } from './resolve-config.js';
import type { Config, ConfigGiven, ProfileInput } from './schema.js';
import { findEntry, knownFramework, logicalCwd, type EntryKeys, type Target } from './target.js';

/** What to load the configuration of, and what is said about it beside files. */
export interface LoadRequest {
  /** App directory or entry file (its app's directory is found from it), relative to `cwd`; default: `cwd`. */
  target?: string;
  /** Default: the working directory as the shell shows it, symbolic links kept. */
  cwd?: string;
  /** `dev` has other defaults: one worker, dev-reload on. Default: `start`. */
  command?: 'start' | 'dev';
  /**
   * What the command line says. Texts are fine where a number is wanted. `config`: a file in place of the one found;
   * `profile`: `--env`.
   */
  flags?: ProfileInput & { config?: string; profile?: string };
  /** Variables to read in place of `process.env`: `CLUSTER_*`, `NODE_ENV`. */
  env?: NodeJS.ProcessEnv;
  /** Library use. Ranks as the command line does. */
  inline?: ProfileInput;
  /** Of a command line of its own: what its apps run on where they name no framework. */
  framework?: FrameworkRequest;
}

/** A configuration as {@link loadConfig} has read it, with what to run: a Bootstrap is made of it. */
export interface LoadedConfig {
  config: Config;
  /** Where each value comes from, by its path: `log.level`, `plugins.health-check.port`. */
  provenance: Provenance;
  /** Every file that was read, absolute paths. */
  files: string[];
  /** Configuration files of the directory that another one hides. */
  unused: string[];
  /** Whose overlay was laid on top: `--env`, else CLUSTER_ENV, NODE_ENV, or what the command runs in. */
  profile: string;
  /** What there is to run, and where. */
  target: Target;
  /** Plugin objects of JS configs, by their name in `config.plugins`. */
  pluginObjects: PluginObjects;
  /** Where those with a package's name are looked for, by their name in `config.plugins`; absolute, the first one first. */
  pluginDirs: Record<string, readonly string[]>;
  /** What the app runs on; each extends the one before it. */
  frameworks: FrameworkUse[];
}

/**
 * Reads the whole configuration, afresh at each call, and finds what to run.
 * @throws ClusterError ERR_CLUSTER_CONFIG, a line for each mistake; ERR_CLUSTER_APP_NOT_FOUND; ERR_CLUSTER_USAGE
 */
export async function loadConfig(request: LoadRequest = {}): Promise<LoadedConfig> {
  if (!isObject(request)) throw misuse(loadConfig, 'an object', request);
  assertRequest(request);
  try {
    return await load(request);
  } catch (error) {
    throw atCaller(error, loadConfig);
  }
}

/** Of the fields of a request, what each may be. */
const FIELDS: Readonly<Record<keyof LoadRequest, [expected: string, fits: (value: unknown) => boolean]>> = {
  target: ['a file path', isPathText],
  cwd: ['a file path', isPathText],
  command: ['"start" or "dev"', (value) => value === 'start' || value === 'dev'],
  flags: ['an object of flags', isObject],
  env: ['an object of variables', isObject],
  inline: ['an object of keys', isObject],
  framework: ['{ name, from }', (value) => isObject(value) && isPathText(value.name) && isPathText(value.from)],
};

function isPathText(value: unknown): boolean {
  return typeof value === 'string' && !value.includes('\0');
}

function assertRequest(request: LoadRequest): void {
  for (const [name, [expected, fits]] of Object.entries(FIELDS)) {
    const value = request[name as keyof LoadRequest];
    if (value !== undefined && !fits(value)) throw misuse(loadConfig, `${expected} as ${name}`, value);
  }
  for (const name of ['config', 'profile'] as const) {
    const value = request.flags?.[name];
    if (value !== undefined && !isPathText(value)) throw misuse(loadConfig, `a text as flags.${name}`, value);
  }
}

async function load(request: LoadRequest): Promise<LoadedConfig> {
  const { command = 'start', env = process.env, inline = {} } = request;
  const { config: configFlag, profile: profileFlag, ...flags } = request.flags ?? {};
  const cwd = request.cwd ?? logicalCwd();
  const place = findPlace(request.target ?? '.', cwd);
  const profile = profileFlag || env.CLUSTER_ENV || env.NODE_ENV || (command === 'dev' ? 'development' : 'production');

  const mistakes: string[] = [];
  const found = placesIn(place.dir, place.names, place.manifest);
  const file = configFlag === undefined ? found[0] : configFile(configFlag, cwd);
  const given: ConfigGiven = { command, profile, env };
  const chain = file ? await readChain([file], place.dir, mistakes, given) : [];
  if (profileFlag) mistakes.push(...unknownProfile(profileFlag, chain));
  const sources = [fromEnv(env), fromInline(inline), fromFlags(flags)];
  mistakes.push(...sources.flatMap((source) => source.mistakes));
  refuse(mistakes);

  const ownObjects: PluginObjects = {};
  const objects: PluginObjects = {};
  const own = [
    ...fileLayers(chain, profile),
    // On a command line a path counts from where it is typed.
    ...sources.map((source): WrittenLayer => ({ ...source, dir: source.typed ? cwd : place.dir })),
  ].map((layer) => settle(layer, place.dir, ownObjects, mistakes));

  const ownKeys = mergeLayers(own).values;
  const standard = standardLayer(request.framework, place);
  const known = knownLayer(place, { ...standard.values, ...ownKeys });
  const wanted = [ownKeys, standard.values, known.values].map((keys) => keys.framework as string | undefined).find(Boolean);
  const beneath = wanted ? await frameworksOf(wanted, { place, given, objects, mistakes }) : { uses: [], files: [], layers: [] };
  refuse(mistakes);
  const lowest = beneath.uses.length > 1 ? [knownLayer(place, { ...ownKeys, framework: wanted }, beneath.uses)] : [];

  const frameworks = beneath.layers.map((layer) => ({ ...layer, values: { ...layer.values, framework: undefined } }));
  const named = await pluginsByOneName([...frameworks, ...own], { objects: { ...objects, ...ownObjects }, frameworks: beneath.uses });
  const { values, provenance } = mergeLayers([builtIn(place, command), ...lowest, known, standard, ...named.layers]);
  if (values.workers === 'auto') {
    const { workers, counted } = autoWorkers(env);
    values.workers = workers;
    provenance.workers = { ...originOf(provenance, ['workers']), counted };
  }
  await learnGroup(values.group);
  const config = resolveConfig(values, provenance);
  const entry = findEntry(place, config, provenance);
  const childDir = place.file ? startDir(cwd) ?? place.realDir : place.realDir;
  const typed = path.resolve(childDir, request.target ?? '.');
  if (place.file === path.resolve(cwd, request.target ?? '.') && typed !== entry.app) entry.script = typed;
  const pluginObjects = { ...objects, ...ownObjects };
  const files = [...beneath.files, ...chain];
  const where = (at: Path) => whereWritten(provenance, at);
  refuse([
    ...missingPreloads({ config, provenance }, childDir),
    ...offForNothing(config.plugins, { objects: pluginObjects, names: named.names, files, dir: place.realDir }, where),
  ]);
  return {
    config,
    provenance,
    files: files.map((link) => link.file),
    unused: configFlag === undefined ? [...found.filter((other) => other !== file), ...place.unread] : [],
    profile,
    target: { dir: place.dir, realDir: place.realDir, cwd: childDir, name: place.name, entry },
    pluginObjects,
    pluginDirs: named.dirs,
    frameworks: beneath.uses,
  };
}

/** What a command line of its own says of the framework. */
const standardLayer = (request: FrameworkRequest | undefined, place: Place): Layer => ({
  values: request ? { framework: frameworkFor(request, place) } : {},
  origin: () => ({ from: 'framework', where: request?.name }),
});

/** What the app's framework brings with it by itself: it, and the plugin that knows it, unless that is off. */
function knownLayer(place: Place, keys: Record<string, unknown>, beneath: readonly FrameworkUse[] = []): Layer {
  const known = knownFramework(place, keys as EntryKeys, beneath.map(({ folder }) => folder));
  const isOff = known !== null && (keys.plugins as Record<string, unknown> | undefined)?.[known.plugin] === false;
  if (known === null || isOff) return { values: {}, origin: () => ({ from: 'default' }) };
  const { plugin, defaults, framework, where } = known;
  return {
    values: { ...defaults, ...framework === undefined ? {} : { framework }, plugins: { [plugin]: true } },
    origin: ([key]) => key === 'framework' ? { from: 'file', where } : { from: 'default' },
  };
}

/** Where an entry file was started; null: somebody has deleted it since. */
function startDir(cwd: string): string | null {
  try {
    return realpathSync(cwd);
  } catch {
    return null;
  }
}

function configFile(flag: string, cwd: string): string {
  const file = path.resolve(cwd, flag);
  const typed = flag === file ? file : `${flag} (${file})`;
  if (!statSync(file, { throwIfNoEntry: false })) throw new ClusterError('ERR_CLUSTER_CONFIG', `--config: no such file: ${typed}`);
  return file;
}

import { createRequire } from 'node:module';
import type { Plugin, StandardResult, StandardSchema } from '../../api/plugin.js';
import { pathText, sameValue, type Path } from '../../config/check.js';
import type { LoadedConfig } from '../../config/load.js';
import { instanceIn, isBuiltIn, pluginFault } from '../../config/plugin-objects.js';
import type { Provenance } from '../../config/provenance.js';
import { isPlugin, pluginDefaults, type Config } from '../../config/schema.js';
import { ClusterError } from '../../kit/errors.js';
import { built, ownVersion, packageRoot } from '../../kit/package.js';
import { inTime } from '../../kit/time.js';

export interface Found {
  /** The key in the `plugins` map. */
  key: string;
  plugin: Plugin<never>;
  options: unknown;
  /** The module that it comes from, where it is no object of a configuration, and none of ours. */
  file?: string;
  /** Whether the text at a path of the options was filled in from variables, so that it may stand for a number. */
  filled?: (path: Path) => boolean;
}

type Located = Pick<LoadedConfig, 'pluginObjects' | 'pluginDirs' | 'target'>;

/** What a configuration says of a plugin. */
const given = (key: string, value: unknown, provenance: Provenance): Omit<Found, 'plugin'> => ({
  key,
  options: value === true ? undefined : value,
  filled: (path) => provenance[pathText(['plugins', key, ...path])]?.written !== undefined,
});

/** Names the place in the configuration, for a message. */
export type Where = (key: string, path?: Path) => Promise<string>;

/**
 * Looks at the plugins of a configuration that was read anew as at its other keys; none is applied, as that is done once. Those
 * about which nothing has changed are not looked at: what is in force has been. `limit`: ms that a schema may take.
 * @throws ClusterError ERR_CLUSTER_PLUGIN, _ENGINE
 */
export async function checkPlugins(
  loaded: LoadedConfig, before: Config, limit: number,
): Promise<void> {
  const { config, pluginObjects, provenance } = loaded;
  const where = whereIn({ provenance });
  const on = Object.entries(config.plugins).filter(([, value]) => value !== false);
  const isNew = ([key, value]: [string, unknown]) => Object.hasOwn(pluginObjects, key) || !sameValue(value, before.plugins[key]);
  // Of those that come from elsewhere only a look tells the names, which a new one may have as well.
  const others = on.some((entry) => isNew(entry) && !isBuiltIn(entry[0]));
  const names = new Map<string, string>();
  for (const [key, value] of on) {
    const ours = isBuiltIn(key);
    if (!isNew([key, value]) && (ours || !others)) continue;
    const found = await checked({ ...given(key, value, provenance), ...await importPlugin(key, loaded, where) }, limit, where);
    await enter(names, found, ours, where);
  }
}

/** A name belongs to one plugin: taps, faults and what plugins share with each other go by it. `names`: with their places. */
export async function enter(names: Map<string, string>, { key, plugin: { name } }: Found, ours: boolean, where: Where): Promise<void> {
  const place = await where(key);
  const refused = (what: string) => new ClusterError('ERR_CLUSTER_PLUGIN', `${place}: ${what}`);
  if (!ours && isBuiltIn(name)) throw refused(`a plugin of one's own cannot have the name of the built-in plugin "${name}"`);
  const first = names.get(name);
  if (first !== undefined) {
    const hint = ours ? '' : `, by the key "${key}#two" perhaps`;
    throw refused(`a second plugin with the name "${name}", which ${first} has: one of them needs another${hint}`);
  }
  names.set(name, place);
}

/** Names places by where they are written. */
export const whereIn = ({ provenance }: Pick<LoadedConfig, 'provenance'>): Where => async (key, path = []) => {
  const { whereWritten } = await import('../../config/provenance.js');
  return whereWritten(provenance, ['plugins', key, ...path]);
};

/** What stands under a name: `value` should be a plugin. */
export interface Given {
  key: string;
  value: unknown;
  options: unknown;
  file?: string;
  filled?: Found['filled'];
}

/** A plugin as it is to be applied: its options validated and filled in, within `limit` ms. */
export async function checked({ value, ...given }: Given, limit: number, where: Where): Promise<Found & { options: never }> {
  return whole({ ...given, plugin: await instantiate(given.key, value, where) }, limit, where);
}

/** The same of one that is a plugin. */
export async function whole(found: Found, limit: number, where: Where): Promise<Found & { options: never }> {
  await checkEngines(found);
  return { ...found, options: await validate(found, limit, where) };
}

/** Not imported: what is imported first starts the ES module loader, which costs 5 ms. */
const core = () => createRequire(`${packageRoot}/`)(built('core.cjs')) as { plugin(name: string): { default?: unknown } };

/** @throws ClusterError ERR_CLUSTER_PLUGIN: not found, not loaded */
async function importPlugin(
  key: string, { pluginObjects, pluginDirs, target }: Located, where: Where,
): Promise<Pick<Given, 'value' | 'file'>> {
  if (Object.hasOwn(pluginObjects, key)) return { value: pluginObjects[key] };
  if (isBuiltIn(key)) return { value: exported(core().plugin(key)) };
  const { resolveModule, isPath } = await import('../../config/modules.js');
  const dirs = [...new Set([...pluginDirs[key] ?? [], target.realDir])];
  const specifiers = [key, instanceIn(key)?.specifier ?? key];
  const file = specifiers.flatMap((one) => dirs.map((dir) => resolveModule(one, dir))).find(Boolean);
  if (!file) {
    const { nearest } = await import('../../kit/misuse.js');
    const near = nearest(key, Object.keys(pluginDefaults('start')));
    const hint = near ? `; did you mean "${near}"?` : '';
    const what = isPath(key) ? `no module at ${key}`
      : `"${key}" is no built-in plugin, and no package of that name is found from ${dirs.join(', ')}`;
    throw new ClusterError('ERR_CLUSTER_PLUGIN', `${await where(key)}: ${what}${hint}`);
  }
  try {
    const { freshImport } = await import('../../config/modules.js');
    return { value: await freshImport(file), file };
  } catch (error) {
    const { loadFailure } = await import('./mistakes.js');
    throw await loadFailure(`${await where(key)}: ${file} could not be loaded`, file, error);
  }
}

/** The one that comes with us where a preset gives it: what it has imported may be another copy of the same. */
export function ourOwn(plugin: unknown): Plugin<never> | undefined {
  const { name, apply } = (plugin ?? {}) as { name?: unknown; apply?: unknown };
  if (typeof name !== 'string' || !isBuiltIn(name)) return undefined;
  const ours = exported(core().plugin(name)) as Plugin<never>;
  return ours === plugin || String(ours.apply) === String(apply) ? ours : undefined;
}

const exported = (namespace: { default?: unknown }): unknown => namespace.default ?? namespace;

async function instantiate(key: string, value: unknown, where: Where): Promise<Plugin<never>> {
  if (!isPlugin(value)) {
    throw new ClusterError('ERR_CLUSTER_PLUGIN',
      `${await where(key)}: exports no plugin: expected { name, apply } or a class of that shape`);
  }
  let fault: string | undefined;
  try {
    const plugin = typeof value === 'function' ? new (value as new () => Plugin<never>)() : value as Plugin<never>;
    fault = pluginFault(plugin);
    if (fault === undefined) return asInstance(plugin, instanceIn(key)?.instance, typeof value === 'function');
  } catch (error) {
    const { failure } = await import('./mistakes.js');
    throw failure(`${await where(key)}: cannot be made`, error);
  }
  throw new ClusterError('ERR_CLUSTER_PLUGIN', `${await where(key)}: ${fault}`);
}

/** One of several of the same plugin; `fresh`: it is nobody else's. */
function asInstance(plugin: Plugin<never>, instance: string | undefined, fresh: boolean): Plugin<never> {
  if (instance === undefined) return plugin;
  const name = { value: `${plugin.name}#${instance}`, enumerable: true };
  return fresh ? Object.defineProperty(plugin, 'name', name) : Object.create(plugin, { name }) as Plugin<never>;
}

/** Plugins of a configuration that are on, in its order, none applied. @throws ClusterError ERR_CLUSTER_PLUGIN: no plugin, or not found */
export async function instances(
  loaded: Located & Pick<LoadedConfig, 'config' | 'provenance'>,
  wanted: (key: string) => boolean = () => true,
): Promise<Found[]> {
  const { config, provenance } = loaded;
  const where = whereIn(loaded);
  const found: Found[] = [];
  for (const [key, value] of Object.entries(config.plugins)) {
    if (value === false || !wanted(key)) continue;
    const { value: plugin, file } = await importPlugin(key, loaded, where);
    found.push({ ...given(key, value, provenance), file, plugin: await instantiate(key, plugin, where) });
  }
  return found;
}

/**
 * In the configuration's order, but for what they say of each other. @throws ClusterError ERR_CLUSTER_PLUGIN: one needs another
 * that is not on, or they want to be before each other
 */
export async function inOrder<One extends Found>(all: readonly One[], where: Where): Promise<One[]> {
  // What few plugins say costs no start anything.
  if (!all.some(({ plugin: { needs, before, after } }) => needs ?? before ?? after)) return [...all];
  const named = (name: string) => all.find(({ key, plugin }) => plugin.name === name || key === name);
  const first = new Map(all.map((one) => [one, new Set<One>()]));
  for (const one of all) {
    for (const name of one.plugin.needs ?? []) {
      const { nearest } = await import('../../kit/misuse.js');
      const near = nearest(name, all.map(({ plugin }) => plugin.name));
      if (!named(name)) {
        throw new ClusterError('ERR_CLUSTER_PLUGIN', `${await where(one.key)}: plugin "${one.plugin.name}" needs plugin "${name}", `
          + `which is not on${near ? `; did it mean "${near}"?` : ''}`);
      }
    }
    for (const name of [...one.plugin.needs ?? [], ...one.plugin.after ?? []]) first.get(one)?.add(named(name) as One);
    for (const name of one.plugin.before ?? []) first.get(named(name) as One)?.add(one);
  }
  const done: One[] = [];
  const visit = async (one: One | undefined, path: readonly One[]): Promise<void> => {
    if (one === undefined || done.includes(one)) return;
    if (path.includes(one)) {
      const round = [...path.slice(path.indexOf(one)), one].map(({ plugin }) => `"${plugin.name}"`).join(' after ');
      throw new ClusterError('ERR_CLUSTER_PLUGIN', `${await where(one.key)}: plugins that want to be applied before each other: ${round}`);
    }
    for (const other of all) if (first.get(one)?.has(other)) await visit(other, [...path, one]);
    done.push(one);
  };
  for (const one of all) await visit(one, []);
  return done;
}

async function checkEngines({ key, plugin }: Found): Promise<void> {
  const { engines } = plugin;
  if (!engines) return;
  const { default: satisfies } = await import('semver/functions/satisfies.js');
  const { default: validRange } = await import('semver/ranges/valid.js');
  const versions: Record<string, string> = { node: process.versions.node, hatchery: ownVersion() };
  for (const [engine, range] of Object.entries(engines)) {
    const version = versions[engine];
    if (version === undefined || range === undefined) continue;
    if (validRange(range) === null) {
      throw new ClusterError('ERR_CLUSTER_ENGINE', `plugin "${key}": engines.${engine}: "${range}" is no version range`);
    }
    if (!satisfies(version, range, { includePrerelease: true })) {
      throw new ClusterError('ERR_CLUSTER_ENGINE', `plugin "${key}" needs ${engine} ${range}, this is ${version}`);
    }
  }
}

async function validate(found: Found, limit: number, where: Where): Promise<never> {
  const { key, plugin, options, filled } = found;
  const schema: StandardSchema | undefined = plugin.schema;
  if (!schema) return (options ?? {}) as never;
  let result: StandardResult<unknown>;
  try {
    const late = () => new ClusterError('ERR_CLUSTER_HOOK_TIMEOUT',
      `the schema of plugin "${plugin.name}" did not finish within ${limit} ms`);
    result = await inTime(limit, async () => schema['~standard'].validate(options ?? {}), late);
  } catch (error) {
    if (error instanceof ClusterError) throw error;
    const { failure } = await import('./mistakes.js');
    throw failure(`${await where(key)}: the schema of plugin "${plugin.name}" failed (it has to be a Standard Schema)`, error);
  }
  if (!result.issues) return result.value as never;
  const { optionMistakes, retyped } = await import('./mistakes.js');
  const other = filled && retyped(options, result.issues, filled);
  if (other !== undefined) return validate({ ...found, options: other, filled: undefined }, limit, where);
  const mistakes = await optionMistakes(schema, options ?? {}, result.issues, (path) => where(key, path));
  throw new ClusterError('ERR_CLUSTER_PLUGIN', mistakes.join('\n'));
}

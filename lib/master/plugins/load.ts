import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Bootstrap } from '../bootstrap.js';
import type { Path } from '../../config/check.js';
import type { LoadedConfig } from '../../config/load.js';
import { isPlugin, pluginDefaults } from '../../config/schema.js';
import { ClusterError } from '../../kit/errors.js';
import type { Hooks } from '../../api/hooks.js';
import { built, packageRoot } from '../../kit/package.js';
import type { Plugin, StandardResult } from '../../api/plugin.js';

interface Found {
  /** The key in the `plugins` map. */
  key: string;
  plugin: Plugin<never>;
  options: unknown;
}

/** Names the place in the configuration, for a message. */
type Where = (key: string, path?: Path) => Promise<string>;

/**
 * Applies the plugins of the `plugins` map, in its order; built-in ones, packages, files and objects alike.
 * @throws ClusterError ERR_CLUSTER_PLUGIN (not found, no plugin, wrong options, failed in `apply`), ERR_CLUSTER_ENGINE
 */
export async function loadPlugins(bootstrap: Bootstrap, { config, provenance, pluginObjects, target }: LoadedConfig): Promise<void> {
  const where: Where = async (key, path = []) => {
    const { whereWritten } = await import('../../config/resolve.js');
    return whereWritten(provenance, ['plugins', key, ...path]);
  };
  const wanted = Object.entries(config.plugins).filter(([, value]) => value !== false);
  const { missed, stop } = noteMisses(bootstrap.hooks);
  try {
    for (const [key, value] of wanted) {
      const plugin = await instantiate(key, pluginObjects[key] ?? await importPlugin(key, target.realDir, where), where);
      const found = { key, plugin, options: value === true ? undefined : value };
      await checkEngines(found);
      const options = await validate(found, where);
      missed.clear();
      await applied(bootstrap, plugin, options, missed);
    }
  } finally {
    stop();
  }
}

async function applied(bootstrap: Bootstrap, plugin: Plugin<never>, options: never, missed: ReadonlySet<string>): Promise<void> {
  try {
    await bootstrap.applyPlugin(plugin, options);
  } catch (error) {
    const { applyFailure } = await import('./failure.js');
    throw applyFailure(plugin.name, error, [...missed], Object.keys(bootstrap.hooks));
  }
}

/** Not imported: what is imported first starts the ES module loader, which costs 5 ms. */
const core = () => createRequire(`${packageRoot}/`)(built('core.cjs')) as { plugin(name: string): { default?: unknown } };

async function importPlugin(key: string, dir: string, where: Where): Promise<unknown> {
  if (Object.hasOwn(pluginDefaults('start'), key)) return exported(core().plugin(key));
  const { resolveModule, isPath } = await import('../../config/resolve-module.js');
  const file = resolveModule(key, dir);
  if (!file) {
    const { nearest } = await import('../../kit/nearest.js');
    const near = nearest(key, Object.keys(pluginDefaults('start')));
    throw new ClusterError('ERR_CLUSTER_PLUGIN', `${await where(key)}: "${key}" is no built-in plugin, and no ${isPath(key) ? 'file' : 'package'} of that name is found from ${dir}${near ? `; did you mean "${near}"?` : ''}`);
  }
  try {
    const { freshImport } = await import('../../config/fresh-import.js');
    return await freshImport(file);
  } catch (error) {
    const { failure } = await import('./failure.js');
    throw failure(`${await where(key)}: ${file} could not be loaded`, error);
  }
}

const exported = (namespace: { default?: unknown }): unknown => namespace.default ?? namespace;

async function instantiate(key: string, value: unknown, where: Where): Promise<Plugin<never>> {
  if (!isPlugin(value)) throw new ClusterError('ERR_CLUSTER_PLUGIN', `${await where(key)}: exports no plugin: expected { name, apply } or a class of that shape`);
  try {
    const plugin = typeof value === 'function' ? new (value as new () => Plugin<never>)() : value as Plugin<never>;
    if (typeof plugin.name === 'string' && plugin.name !== '') return plugin;
  } catch (error) {
    const { failure } = await import('./failure.js');
    throw failure(`${await where(key)}: cannot be made`, error);
  }
  throw new ClusterError('ERR_CLUSTER_PLUGIN', `${await where(key)}: expected a plugin with a name, found one without`);
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
    if (validRange(range) === null) throw new ClusterError('ERR_CLUSTER_ENGINE', `plugin "${key}": engines.${engine}: "${range}" is no version range`);
    if (!satisfies(version, range, { includePrerelease: true })) throw new ClusterError('ERR_CLUSTER_ENGINE', `plugin "${key}" needs ${engine} ${range}, this is ${version}`);
  }
}

async function validate({ key, plugin, options }: Found, where: Where): Promise<never> {
  if (!plugin.schema) return (options ?? {}) as never;
  const result = await (plugin.schema as { '~standard': { validate(value: unknown): StandardResult<unknown> | Promise<StandardResult<unknown>> } })['~standard'].validate(options ?? {});
  if (!result.issues) return result.value as never;
  const { optionMistakes } = await import('./option-mistakes.js');
  throw new ClusterError('ERR_CLUSTER_PLUGIN', (await optionMistakes(plugin.schema, options ?? {}, result.issues, (path) => where(key, path))).join('\n'));
}

/** The package's own version. */
export function ownVersion(): string {
  return (JSON.parse(readFileSync(`${packageRoot}/package.json`, 'utf8')) as { version: string }).version;
}

/**
 * Notes what is asked for and is no hook, for the message to a plugin that mistypes one. It still gets undefined, as it may
 * want to know whether this version has a hook.
 */
export function noteMisses(hooks: Hooks): { missed: Set<string>; stop(): void } {
  const missed = new Set<string>();
  const noted = new Proxy(Object.prototype, {
    get(prototype, name, receiver): unknown {
      if (typeof name === 'string' && !(name in prototype)) missed.add(name);
      return Reflect.get(prototype, name, receiver);
    },
  });
  Object.setPrototypeOf(hooks, noted);
  return { missed, stop: () => { Object.setPrototypeOf(hooks, Object.prototype); } };
}

import { createRequire } from 'node:module';
import type { Path } from '../../config/check.js';
import { isPlugin, pluginDefaults } from '../../config/schema.js';
import { ClusterError } from '../../kit/errors.js';
import { built, ownVersion, packageRoot } from '../../kit/package.js';
import type { Core } from '../core.js';
import { applyPlugin } from './face.js';
import type { Plugin, StandardResult } from '../../api/plugin.js';

interface Found {
  /** The key in the `plugins` map. */
  key: string;
  plugin: Plugin<never>;
  options: unknown;
}

/** Names the place in the configuration, for a message. */
type Where = (key: string, path?: Path) => Promise<string>;

/** Applies the plugins, once, and lets them see the configuration; `framework config` wants no more. */
export function prepare(core: Core): Promise<void> {
  return core.prepared ??= (async () => {
    await loadPlugins(core);
    await core.releases.first();
    core.routing.check(core.releases.current.loaded.config.balance);
  })();
}

/**
 * Applies the plugins of the `plugins` map, in its order; built-in ones, packages, files and objects alike.
 * @throws ClusterError ERR_CLUSTER_PLUGIN (not found, no plugin, wrong options, failed in `apply`), ERR_CLUSTER_ENGINE
 */
async function loadPlugins(core: Core): Promise<void> {
  const { config, provenance, pluginObjects, target } = core.releases.current.loaded;
  const where: Where = async (key, path = []) => {
    const { whereWritten } = await import('../../config/provenance.js');
    return whereWritten(provenance, ['plugins', key, ...path]);
  };
  for (const [key, value] of Object.entries(config.plugins)) {
    if (value === false) continue;
    const plugin = await instantiate(key, pluginObjects[key] ?? await importPlugin(key, target.realDir, where), where);
    const found = { key, plugin, options: value === true ? undefined : value };
    await checkEngines(found);
    await applyPlugin(core, plugin, await validate(found, where));
  }
}

/** Not imported: what is imported first starts the ES module loader, which costs 5 ms. */
const core = () => createRequire(`${packageRoot}/`)(built('core.cjs')) as { plugin(name: string): { default?: unknown } };

async function importPlugin(key: string, dir: string, where: Where): Promise<unknown> {
  if (Object.hasOwn(pluginDefaults('start'), key)) return exported(core().plugin(key));
  const { resolveModule, isPath } = await import('../../config/modules.js');
  const file = resolveModule(key, dir);
  if (!file) {
    const { nearest } = await import('../../kit/misuse.js');
    const near = nearest(key, Object.keys(pluginDefaults('start')));
    throw new ClusterError('ERR_CLUSTER_PLUGIN', `${await where(key)}: "${key}" is no built-in plugin, and no ${isPath(key) ? 'file' : 'package'} of that name is found from ${dir}${near ? `; did you mean "${near}"?` : ''}`);
  }
  try {
    const { freshImport } = await import('../../config/modules.js');
    return await freshImport(file);
  } catch (error) {
    const { failure } = await import('./mistakes.js');
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
    const { failure } = await import('./mistakes.js');
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
  const { optionMistakes } = await import('./mistakes.js');
  throw new ClusterError('ERR_CLUSTER_PLUGIN', (await optionMistakes(plugin.schema, options ?? {}, result.issues, (path) => where(key, path))).join('\n'));
}

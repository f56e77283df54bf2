import { createRequire } from 'node:module';
import type { Plugin, StandardResult, StandardSchema } from '../../api/plugin.js';
import type { Path } from '../../config/check.js';
import { isPlugin, pluginDefaults } from '../../config/schema.js';
import { ClusterError } from '../../kit/errors.js';
import { runOwned } from '../../kit/faults.js';
import { built, ownVersion, packageRoot } from '../../kit/package.js';
import { inTime } from '../../kit/time.js';
import type { Core } from '../core.js';
import { makeFace } from './face.js';

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
    const plugin = pluginObjects[key] ?? await importPlugin(key, target.realDir, where);
    await applied(core, key, plugin, value === true ? undefined : value, where);
  }
}

/**
 * Applies one plugin as if it stood in the configuration: checked, its options validated and filled in.
 * @throws ClusterError ERR_CLUSTER_PLUGIN, _ENGINE, _HOOK_TIMEOUT
 */
export async function applyPlugin(core: Core, plugin: unknown, options: unknown): Promise<void> {
  const { name } = (plugin ?? {}) as { name?: unknown };
  const key = typeof name === 'string' ? name : 'a plugin without a name';
  await applied(core, key, plugin, options, async (_, path = []) => ['applyPlugin', key, ...path].join(': '));
}

async function applied(core: Core, key: string, value: unknown, given: unknown, where: Where): Promise<void> {
  const plugin = await instantiate(key, value, where);
  const found = { key, plugin, options: given };
  await checkEngines(found);
  const options = await validate(found, where);
  const { hookTimeout } = core.options;
  const { face, missed, close } = makeFace(core, plugin.name, (other, its) => applyPlugin(core, other, its));
  const late = () => new ClusterError('ERR_CLUSTER_HOOK_TIMEOUT', `plugin "${plugin.name}" did not finish apply within ${hookTimeout} ms`);
  try {
    const apply = async (): Promise<void> => plugin.apply(face, options);
    // What it begins, and fails later, is told with its name. Of ours no mistakes are expected, and it would slow each promise down.
    await inTime(hookTimeout, isBuiltIn(key) ? apply : () => runOwned(plugin.name, apply), late);
  } catch (error) {
    const { applyFailure } = await import('./mistakes.js');
    throw applyFailure(plugin.name, error, missed, Object.keys(core.hooks));
  } finally {
    close();
  }
}

/** Not imported: what is imported first starts the ES module loader, which costs 5 ms. */
const core = () => createRequire(`${packageRoot}/`)(built('core.cjs')) as { plugin(name: string): { default?: unknown } };

async function importPlugin(key: string, dir: string, where: Where): Promise<unknown> {
  if (isBuiltIn(key)) return exported(core().plugin(key));
  const { resolveModule, isPath } = await import('../../config/modules.js');
  const file = resolveModule(key, dir);
  if (!file) {
    const { nearest } = await import('../../kit/misuse.js');
    const near = nearest(key, Object.keys(pluginDefaults('start')));
    const what = isPath(key) ? 'file' : 'package';
    const hint = near ? `; did you mean "${near}"?` : '';
    throw new ClusterError('ERR_CLUSTER_PLUGIN',
      `${await where(key)}: "${key}" is no built-in plugin, and no ${what} of that name is found from ${dir}${hint}`);
  }
  try {
    const { freshImport } = await import('../../config/modules.js');
    return await freshImport(file);
  } catch (error) {
    const { failure } = await import('./mistakes.js');
    throw failure(`${await where(key)}: ${file} could not be loaded`, error);
  }
}

const isBuiltIn = (key: string): boolean => Object.hasOwn(pluginDefaults('start'), key);

const exported = (namespace: { default?: unknown }): unknown => namespace.default ?? namespace;

async function instantiate(key: string, value: unknown, where: Where): Promise<Plugin<never>> {
  if (!isPlugin(value)) {
    throw new ClusterError('ERR_CLUSTER_PLUGIN',
      `${await where(key)}: exports no plugin: expected { name, apply } or a class of that shape`);
  }
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
    if (validRange(range) === null) {
      throw new ClusterError('ERR_CLUSTER_ENGINE', `plugin "${key}": engines.${engine}: "${range}" is no version range`);
    }
    if (!satisfies(version, range, { includePrerelease: true })) {
      throw new ClusterError('ERR_CLUSTER_ENGINE', `plugin "${key}" needs ${engine} ${range}, this is ${version}`);
    }
  }
}

async function validate({ key, plugin, options }: Found, where: Where): Promise<never> {
  const schema: StandardSchema | undefined = plugin.schema;
  if (!schema) return (options ?? {}) as never;
  let result: StandardResult<unknown>;
  try {
    result = await schema['~standard'].validate(options ?? {});
  } catch (error) {
    const { failure } = await import('./mistakes.js');
    throw failure(`${await where(key)}: the schema of plugin "${plugin.name}" failed (it has to be a Standard Schema)`, error);
  }
  if (!result.issues) return result.value as never;
  const { optionMistakes } = await import('./mistakes.js');
  const mistakes = await optionMistakes(schema, options ?? {}, result.issues, (path) => where(key, path));
  throw new ClusterError('ERR_CLUSTER_PLUGIN', mistakes.join('\n'));
}

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Bootstrap } from './bootstrap.js';
import type { LoadedConfig } from './config/load.js';
import { isPlugin, pluginDefaults } from './config/schema.js';
import { ClusterError } from './errors.js';
import { built, packageRoot } from './package-root.js';
import type { Plugin, StandardResult } from './plugin.js';

interface Found {
  /** The key in the `plugins` map, named in messages. */
  key: string;
  plugin: Plugin<never>;
  options: unknown;
}

/**
 * Applies the plugins of the `plugins` map, in its order; built-in ones, packages, files and objects alike.
 * @throws ClusterError ERR_CLUSTER_PLUGIN (not found, no plugin, wrong options), ERR_CLUSTER_ENGINE
 */
export async function loadPlugins(bootstrap: Bootstrap, { config, pluginObjects, target }: LoadedConfig): Promise<void> {
  const wanted = Object.entries(config.plugins).filter(([, value]) => value !== false);
  for (const [key, value] of wanted) {
    const given = pluginObjects[key];
    const plugin = instantiate(key, given ?? await importPlugin(key, target.realDir));
    const found = { key, plugin, options: value === true ? undefined : value };
    await checkEngines(found);
    const options = await validate(found);
    await bootstrap.applyPlugin(plugin, options);
  }
}

/** Not imported: what is imported first starts the ES module loader, which costs 5 ms. */
const core = () => createRequire(`${packageRoot}/`)(built('core.cjs')) as { plugin(name: string): { default?: unknown } };

async function importPlugin(key: string, dir: string): Promise<unknown> {
  if (Object.hasOwn(pluginDefaults('start'), key)) return exported(core().plugin(key));
  const { resolveModule, isPath } = await import('./config/resolve-module.js');
  const file = resolveModule(key, dir);
  if (!file) {
    const { nearest } = await import('./nearest.js');
    const near = nearest(key, Object.keys(pluginDefaults('start')));
    throw new ClusterError('ERR_CLUSTER_PLUGIN', `plugins: "${key}" is no built-in plugin, and no ${isPath(key) ? 'file' : 'package'} of that name is found from ${dir}${near ? `; did you mean "${near}"?` : ''}`);
  }
  try {
    const { freshImport } = await import('./config/fresh-import.js');
    return await freshImport(file);
  } catch (error) {
    throw new ClusterError('ERR_CLUSTER_PLUGIN', `plugins: "${key}" could not be loaded from ${file}: ${(error as Error).message}`, { cause: error });
  }
}

const exported = (namespace: { default?: unknown }): unknown => namespace.default ?? namespace;

function instantiate(key: string, value: unknown): Plugin<never> {
  if (!isPlugin(value)) throw new ClusterError('ERR_CLUSTER_PLUGIN', `plugins: "${key}" exports no plugin: expected { name, apply } or a class of that shape`);
  const plugin: Plugin<never> = typeof value === 'function' ? new (value as new () => Plugin<never>)() : value as Plugin<never>;
  if (typeof plugin.name !== 'string' || plugin.name === '') throw new ClusterError('ERR_CLUSTER_PLUGIN', `plugins: "${key}" has no name`);
  return plugin;
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

async function validate({ key, plugin, options }: Found): Promise<never> {
  if (!plugin.schema) return (options ?? {}) as never;
  const result = await (plugin.schema as { '~standard': { validate(value: unknown): StandardResult<unknown> | Promise<StandardResult<unknown>> } })['~standard'].validate(options ?? {});
  if (!result.issues) return result.value as never;
  const { nearest } = await import('./nearest.js');
  // Objects of valibot have `entries`, those of zod `shape`; of others the names are not known.
  const { entries, shape } = plugin.schema as { entries?: object; shape?: object };
  const known = Object.keys(entries ?? shape ?? {});
  const lines = result.issues.map(({ path = [], message }) => {
    const keys = path.map((part) => String(typeof part === 'object' ? part.key : part));
    const [first = ''] = keys;
    if (keys.length === 1 && known.length > 0 && !known.includes(first)) {
      const near = nearest(first, known);
      return `plugins.${key}.${first}: unknown option${near ? `, did you mean "${near}"?` : `; known are ${known.join(', ')}`}`;
    }
    return `plugins.${[key, ...keys].join('.')}: ${message}`;
  });
  throw new ClusterError('ERR_CLUSTER_PLUGIN', lines.join('\n'));
}

/** The package's own version. */
export function ownVersion(): string {
  return (JSON.parse(readFileSync(`${packageRoot}/package.json`, 'utf8')) as { version: string }).version;
}

import { isBuiltIn } from '../../config/plugin-objects.js';
import { ClusterError } from '../../kit/errors.js';
import { contained, runOwned } from '../../kit/faults.js';
import { inTime } from '../../kit/time.js';
import type { Core } from '../core.js';
import { checked, enter, importPlugin, whereIn, type Given, type Where } from './check.js';
import { makeFace } from './face.js';

/** Applies the plugins, once, and lets them see the configuration; `framework config` wants no more. */
export function prepare(core: Core): Promise<void> {
  return core.prepared ??= (async () => {
    await loadPlugins(core);
    await core.releases.first();
    const { config } = core.releases.current.loaded;
    core.routing.decide(config, { inherited: core.inheritedSockets[config.port] !== undefined });
  })();
}

/**
 * Applies the plugins of the `plugins` map, in its order; built-in ones, packages, files and objects alike.
 * @throws ClusterError ERR_CLUSTER_PLUGIN (not found, no plugin, wrong options, failed in `apply`), ERR_CLUSTER_ENGINE
 */
async function loadPlugins(core: Core): Promise<void> {
  const { config, pluginObjects, target } = core.releases.current.loaded;
  const where = whereIn(core.releases.current.loaded);
  for (const [key, value] of Object.entries(config.plugins)) {
    if (value === false) continue;
    const plugin = pluginObjects[key] ?? await importPlugin(key, target.realDir, where);
    await applied(core, { key, value: plugin, options: value === true ? undefined : value, ours: isBuiltIn(key) }, where);
  }
}

/**
 * Applies one plugin as if it stood in the configuration: checked, its options validated and filled in.
 * @throws ClusterError ERR_CLUSTER_PLUGIN, _ENGINE, _HOOK_TIMEOUT
 */
export async function applyPlugin(core: Core, plugin: unknown, options: unknown, ours = false): Promise<void> {
  const { name } = (plugin ?? {}) as { name?: unknown };
  const key = typeof name === 'string' ? name : 'a plugin without a name';
  await applied(core, { key, value: plugin, options, ours }, async (_, path = []) => ['applyPlugin', key, ...path].join(': '));
}

/** `ours`: a built-in one, or one that a built-in one applies. */
async function applied(core: Core, { ours, ...given }: Given & { ours: boolean }, where: Where): Promise<void> {
  const { hookTimeout } = core.options;
  const found = await checked(given, hookTimeout, where);
  const { plugin, options } = found;
  await enter(core.plugins, found, ours, where);
  const { face, missed, close } = makeFace(core, plugin.name, (other, its) => applyPlugin(core, other, its, ours));
  const late = () => new ClusterError('ERR_CLUSTER_HOOK_TIMEOUT', `plugin "${plugin.name}" did not finish apply within ${hookTimeout} ms`);
  try {
    const apply = async (): Promise<void> => plugin.apply(face, options);
    // What it begins, and fails later, is told with its name. Of ours no mistakes are expected, and it would slow each promise down.
    const theirs = (): Promise<void> => contained(() => runOwned(plugin.name, apply));
    await inTime(hookTimeout, ours ? apply : theirs, late);
  } catch (error) {
    const { applyFailure } = await import('./mistakes.js');
    throw applyFailure(plugin.name, error, missed, Object.keys(core.hooks));
  } finally {
    close();
  }
}

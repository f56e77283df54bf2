import { isBuiltIn } from '../../config/plugin-objects.js';
import { ClusterError } from '../../kit/errors.js';
import { contained, runOwned } from '../../kit/faults.js';
import { inTime } from '../../kit/time.js';
import type { Core } from '../core.js';
import { checked, enter, inOrder, instances, ourOwn, whereIn, whole, type Found, type Where } from './check.js';
import { makeFace } from './face.js';

/** Applies the plugins, once, and lets them see the configuration; `framework config` wants no more. */
export function prepare(core: Core): Promise<void> {
  return core.prepared ??= (async () => {
    await loadPlugins(core);
    await core.releases.first();
    const { config } = core.releases.current.loaded;
    core.routing.decide(config, { inherited: core.inheritedSockets[config.port] !== undefined, alone: core.options.alone !== undefined });
  })();
}

/**
 * Applies the plugins of the `plugins` map; built-in ones, packages, files and objects alike.
 * @throws ClusterError ERR_CLUSTER_PLUGIN (not found, no plugin, wrong options, failed in `apply`), ERR_CLUSTER_ENGINE
 */
async function loadPlugins(core: Core): Promise<void> {
  const { loaded } = core.releases.current;
  const where = whereIn(loaded);
  const found = [];
  for (const one of await instances(loaded)) found.push(await whole(one, core.options.hookTimeout, where));
  for (const one of await inOrder(found, where)) await applied(core, one, isBuiltIn(one.key), where);
}

/**
 * Applies one plugin as if it stood in the configuration: checked, its options validated and filled in.
 * @throws ClusterError ERR_CLUSTER_PLUGIN, _ENGINE, _HOOK_TIMEOUT
 */
export async function applyPlugin(core: Core, plugin: unknown, options: unknown, ours = false): Promise<void> {
  const { name } = (plugin ?? {}) as { name?: unknown };
  const key = typeof name === 'string' ? name : 'a plugin without a name';
  const where: Where = async (_, path = []) => ['applyPlugin', key, ...path].join(': ');
  const own = ourOwn(plugin);
  const found = await checked({ key, value: own ?? plugin, options }, core.options.hookTimeout, where);
  const missing = found.plugin.needs?.find((one) => !core.plugins.has(one));
  if (missing !== undefined) {
    throw new ClusterError('ERR_CLUSTER_PLUGIN', `${await where(key)}: it needs plugin "${missing}", which has not been applied`);
  }
  await applied(core, found, ours || own !== undefined, where);
}

/** `ours`: a built-in one, or one that a built-in one applies. */
async function applied(core: Core, found: Found & { options: never }, ours: boolean, where: Where): Promise<void> {
  const { hookTimeout } = core.options;
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
    throw await applyFailure(found, error, missed, Object.keys(core.hooks));
  } finally {
    close();
  }
}

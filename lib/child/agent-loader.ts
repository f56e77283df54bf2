import { ClusterError } from '../kit/errors.js';
import type { BootInfo } from '../ipc/messages.js';
import { loadApp } from './app-loader.js';
import type { Context } from '../api/context.js';
import { startFrameworkAgent } from './egg-framework.js';
import type { Runtime } from '../api/runtime.js';
import { describe, isEmpty } from './servable.js';

/** Loads and starts what the agent is there for; resolves when it is ready. A module with side effects alone is fine. */
export async function loadAgent(boot: BootInfo, context: Context, runtime: Runtime): Promise<void> {
  const { entry } = boot;
  const exported = await loadApp(boot);
  if (entry.kind === 'framework') return startFrameworkAgent(exported, entry, runtime);
  const value = await exported;
  if (typeof value === 'function') await (value as (context: Context) => unknown)(context);
  else if (!isEmpty(value) && typeof value !== 'object') throw new ClusterError('ERR_CLUSTER_NOT_SERVABLE',
    `the agent module ${'file' in entry ? entry.file : ''} exports ${describe(value)}; it has to export a function (context) => void, or nothing`);
}

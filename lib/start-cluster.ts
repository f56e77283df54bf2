import { Bootstrap, type BootstrapOptions } from './master/bootstrap.js';
import { loadConfig, type LoadRequest } from './config/load.js';
import type { ProfileInput } from './config/schema.js';

export type StartOptions = ProfileInput & {
  /** App directory or entry file; the working directory by default. */
  target?: string;
  /** `dev` has the defaults of `framework dev`. */
  command?: LoadRequest['command'];
};

/**
 * Starts a cluster in this process, which becomes its master; resolves when all are ready. Options rank as flags of the
 * command line do. @throws ClusterError: ERR_CLUSTER_CONFIG, _APP_NOT_FOUND, _PLUGIN, _START, _START_TIMEOUT, ...
 */
export async function startCluster({ target, command, ...inline }: StartOptions = {}, options: BootstrapOptions = {}): Promise<Bootstrap> {
  const read = () => loadConfig({ target, command, inline });
  const bootstrap = new Bootstrap(await read(), { reloadConfig: read, ...options });
  return bootstrap.start();
}

import { Bootstrap, ClusterError, loadConfig } from '../../lib/index.js';
import { requestOf, type EggClusterOptions } from './egg-options.js';

export type { EggClusterOptions } from './egg-options.js';

/**
 * egg-cluster's function: this process becomes the master of the application, and ends with it. `callback` is called once all
 * are ready. A start that fails ends the process with 1, as there; options that are wrong reject.
 * @throws ClusterError ERR_CLUSTER_USAGE, _CONFIG, _APP_NOT_FOUND, _PLUGIN
 */
export async function startCluster(options: EggClusterOptions = {}, callback?: () => void): Promise<Bootstrap> {
  const request = requestOf(options);
  // As there, for what would be printed of deprecations otherwise.
  if (process.env.NODE_ENV === 'production') process.env.NO_DEPRECATION ??= '*';
  const read = () => loadConfig(request);
  const bootstrap = new Bootstrap(await read(), { reloadConfig: read });
  try {
    await bootstrap.start();
  } catch (error) {
    if (error instanceof ClusterError && error.code === 'ERR_CLUSTER_CLOSING') {
      const code = await bootstrap.exited;
      if (code !== 0) bootstrap.logger.error(`exit with code:${code}`);
      process.exit(code);
    }
    bootstrap.logger.error((error as Error).message);
    bootstrap.logger.error('exit with code:1');
    process.exit(1);
  }
  void bootstrap.exited.then((code) => process.exit(code));
  callback?.();
  return bootstrap;
}

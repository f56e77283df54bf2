import { ClusterError } from '../../lib/index.js';

/** Calls `then` at the times of a cron expression; returns what ends it. @throws ClusterError ERR_CLUSTER_PLUGIN */
export async function schedule(expression: string, then: () => void): Promise<() => void> {
  const { Cron } = await import('croner');
  try {
    const cron = new Cron(expression, { unref: true }, then);
    return () => cron.stop();
  } catch (error) {
    throw new ClusterError('ERR_CLUSTER_PLUGIN', 'plugins.health-check.cron: expected a cron expression such as "0 4 * * *", '
      + `found ${JSON.stringify(expression)}: ${(error as Error).message}`);
  }
}

import type { Core } from '../core.js';
import { threeStrikes } from '../life.js';
import { addressOf, formatAddress } from '../status-report.js';

/** All are ready for the first time: at the start, or in development after a restart that mended one. */
export async function allReady(core: Core): Promise<void> {
  const { life, hooks, logger, releases, tasks, workers, agent, options, cleanup } = core;
  if (life.announced) return;
  life.announced = true;
  const address = addressOf(workers);
  await tasks.orClosed(hooks.clusterReady.promise(address, [...agent.children(), ...workers.children()]));
  const took = Date.now() - life.startedAt.getTime();
  logger.info(`${releases.current.loaded.config.title} started on ${address ? formatAddress(address) : 'no address'} (${took}ms)`);
  cleanup.push(threeStrikes(options.checkInterval, () => count(core), (counts) => {
    logger.error(`ClusterWorkerExceptionError: nobody is left to serve (agent: ${counts.agent}, workers: ${counts.workers})`);
    life.giveUp('ClusterWorkerExceptionError');
  }));
}

const count = ({ life, tasks, forker, releases, agent, workers }: Core) => ({
  agent: agent.current ? 1 : 0,
  workers: workers.ready().length,
  expectsAgent: forker.wantsAgent(releases.current),
  pending: life.closing || tasks.busy || agent.pending || workers.pending,
});

import cluster from 'node:cluster';
import { ClusterError } from '../../kit/errors.js';
import { freeClusterPort, removeStaleSocket } from '../../kit/sockets.js';
import type { Core } from '../core.js';
import { threeStrikes } from '../life.js';
import { openInspector } from '../processes/inspect.js';
import { addressOf, formatAddress } from '../status-report.js';
import { close } from './shutdown.js';

/**
 * With its plugins applied. Agent, then workers; resolves when all are ready. On a failure everything is stopped and the error
 * of the child is thrown.
 */
export async function start(core: Core): Promise<void> {
  const { life, hooks, logger, releases, tasks, forker, reaper, deadlines, options, cleanup } = core;
  // A plugin's apply may have taken its time.
  if (life.closing) throw new ClusterError('ERR_CLUSTER_CLOSING', 'closed while it was starting');
  const { config, target: { entry } } = releases.current.loaded;
  if (config.path !== undefined) await removeStaleSocket(config.path);
  cluster.schedulingPolicy = config.balance === 'os' ? cluster.SCHED_NONE : cluster.SCHED_RR;
  cleanup.push(core.post.listenToParent());
  life.enter('start');
  process.title = `${config.title}: master`;
  const count = `${config.workers} worker${config.workers === 1 ? '' : 's'}`;
  logger.info(`hatchery ${core.version} starts "${config.title}" on node ${process.version} (${count})`);
  try {
    await tasks.orClosed(hooks.beforeStart.promise(config));
    await openInspector(config, forker.wantsAgent(releases.current), logger);
    if (entry.framework !== undefined) releases.change({ clusterPort: await freeClusterPort() });
    reaper.start(Math.max(deadlines.drain, deadlines.agent) + 1_000);
    if (options.files) reaper.files(options.files);
    await startChildren(core);
    tasks.open();
  } catch (error) {
    const wasClosing = life.closing;
    await close(core, 'start failed', { code: 1, force: !wasClosing });
    throw wasClosing ? new ClusterError('ERR_CLUSTER_CLOSING', 'closed while it was starting') : error;
  }
}

async function startChildren(core: Core): Promise<void> {
  const { life, hooks, faults, releases, tasks, forker, agent, workers } = core;
  const count = releases.current.loaded.config.workers;
  let failure: Error | undefined;
  try {
    if (forker.wantsAgent(releases.current)) {
      const ready = agent.start(releases.current);
      // After the agent's own fork, which comes in this turn of the event loop.
      setImmediate(faults.guard('spare processes', () => { if (!life.closing && !workers.pending) forker.warm(count, releases.current); }));
      await tasks.orClosed(ready);
    }
    life.enter('agentReady');
    await tasks.orClosed(workers.grow(count, releases.current));
  } catch (error) {
    if (life.closing || hooks.startFailed.call(error as Error) !== 'stay') throw error;
    failure = error as Error;
    workers.addSlots(count);
    for (const slot of workers.slots) slot.refork.left = slot.current === null;
    life.enter('agentReady');
  }
  life.enter('workersReady');
  if (!failure) await allReady(core);
}

/** All are ready for the first time: at the start, or in development after a restart that mended one. */
export async function allReady(core: Core): Promise<void> {
  const { life, hooks, logger, faults, releases, tasks, workers, agent, options, cleanup } = core;
  if (life.announced) return;
  life.announced = true;
  const address = addressOf(workers);
  await tasks.orClosed(hooks.clusterReady.promise(address, [...agent.children(), ...workers.children()]));
  const took = Date.now() - life.startedAt.getTime();
  logger.info(`${releases.current.loaded.config.title} started on ${address ? formatAddress(address) : 'no address'} (${took}ms)`);
  cleanup.push(threeStrikes(options.checkInterval, faults, () => count(core), (counts) => {
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

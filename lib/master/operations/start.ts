import { assertOwnGroup } from '../../config/resolve-config.js';
import { ClusterError } from '../../kit/errors.js';
import { formatAddress, freeClusterPort, removeStaleSocket } from '../../kit/sockets.js';
import { schedule } from '../../node/cluster.js';
import type { Core } from '../core.js';
import { threeStrikes } from '../life.js';
import { openInspector } from '../processes/exec-argv.js';
import { addressOf } from '../status-report.js';
import { close, closeFailedStart } from './shutdown.js';
import { alone } from './tasks.js';

/**
 * With its plugins applied. Agent, then workers; resolves when all are ready. On a failure everything is stopped and the error
 * of the child is thrown.
 */
export async function start(core: Core): Promise<void> {
  const { life, hooks, logger, releases, tasks, forker, reaper, leftovers, installation, deadlines, options, cleanup } = core;
  // A plugin's apply may have taken its time.
  if (life.closing) throw new ClusterError('ERR_CLUSTER_CLOSING', 'closed while it was starting');
  const { config, target: { entry } } = releases.current.loaded;
  assertOwnGroup(releases.current.loaded);
  if (config.path !== undefined) await removeStaleSocket(config.path);
  cleanup.push(core.post.listenToParent());
  life.enter('start');
  process.title = `${config.title}: master`;
  const count = options.alone ? 'in this one process' : `${config.workers} worker${config.workers === 1 ? '' : 's'}`;
  logger.info(`hatchery ${core.version} starts "${config.title}" on node ${process.version} (${count})`);
  try {
    takeBalance(core);
    await tasks.orClosed(hooks.beforeStart.promise(config));
    await openInspector(config, forker.wantsAgent(releases.current), logger);
    if (entry.framework !== undefined) releases.change({ clusterPort: await freeClusterPort() });
    if (options.alone) {
      if (forker.wantsAgent(releases.current)) throw alone('an agent would be another process: --no-agent leaves it away');
      await startChildren(core);
      tasks.close(alone('to change what runs, start it anew'));
      return;
    }
    reaper.start(Math.max(deadlines.drain, deadlines.agent) + 1_000);
    if (config.leaveChildren) reaper.alone();
    reaper.family(leftovers.family);
    if (options.files) reaper.files(options.files);
    options.onFilesMoved?.((files) => reaper.files(files));
    await startChildren(core);
    const held = installation.hold();
    // Whoever deploys waits for the command that starts a daemon, and may take the package away right then.
    if (options.logFiles) await held;
    tasks.open();
  } catch (error) {
    const wasClosing = life.closing;
    await (wasClosing ? close(core, 'start failed') : closeFailedStart(core));
    throw wasClosing ? new ClusterError('ERR_CLUSTER_CLOSING', 'closed while it was starting') : error;
  }
}

/** What several clusters of one process cannot have at the same time (test/integration/two-clusters.test.ts). */
function takeBalance({ routing, listeners, logger }: Core): void {
  const { configured, used } = routing.balance;
  if (!schedule(used === 'os')) {
    if (configured !== 'auto') {
      throw new ClusterError('ERR_CLUSTER_BALANCE', `balance: "${used}" cannot be had in a process whose first cluster had another, `
        + 'as node:cluster keeps to that: use the same for both, or two processes');
    }
    routing.give('os', 'the first cluster of this process has it, and node:cluster keeps to that');
  }
  listeners.slotSockets = routing.balance.used === 'reuse-port';
  if (configured !== 'round-robin') logger.info(`balance: "${routing.balance.used}", ${routing.balance.why}`);
}

async function startChildren(core: Core): Promise<void> {
  const { life, hooks, faults, releases, tasks, forker, agent, workers } = core;
  const count = releases.current.loaded.config.workers;
  let failure: Error | undefined;
  try {
    if (forker.wantsAgent(releases.current)) {
      const ready = agent.start(releases.current);
      // After the agent's own fork, which comes in this turn of the event loop.
      const warm = (): void => { if (!life.closing && !workers.pending) forker.warm(count, releases.current); };
      setImmediate(faults.guard('spare processes', warm));
      await tasks.orClosed(Promise.race([ready, life.mistaken]));
    }
    life.enter('agentReady');
    await tasks.orClosed(Promise.race([workers.grow(count, releases.current), life.mistaken]));
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

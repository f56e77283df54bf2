import type { ReloadResult } from '../../api/control.js';
import { ClusterError, wire } from '../../kit/errors.js';
import { atMost } from '../../kit/time.js';
import type { Variables } from '../../config/environment.js';
import { openLogs, type Core } from '../core.js';
import { checkPlugins } from '../plugins/check.js';
import type { Child } from '../processes/child.js';
import { lostSuccessor, processName } from '../processes/exit-report.js';
import type { Slot } from '../processes/slot.js';
import type { Release } from '../releases.js';

/** Milliseconds between two looks at what a successor serves. */
const LOOK = 20;

export interface ReloadOptions {
  /** Replace the agent too, after the workers; true by default. */
  agent?: boolean;
  /** Wait for what is under way, in place of ERR_CLUSTER_BUSY. */
  queue?: boolean;
  /** Takes the place of the environment that the master was started with. */
  env?: Variables;
}

/**
 * Replaces all workers without a lost request, then the agent. Configuration and code are read afresh; one canary must be
 * ready (and stay so for `reload.soak` ms) before the first old worker drains. @throws ClusterError ERR_CLUSTER_BUSY,
 * _CLOSING, _RELOAD_VETOED, _RELOAD_ABORTED, _CONFIG, _PLUGIN
 */
export function reload(core: Core, reason: string, { agent = true, queue = false, env }: ReloadOptions = {}): Promise<ReloadResult> {
  const task = () => reloadNow(core, reason, agent, env);
  return queue ? inTurn(core, reason, task) : core.tasks.run('reload', task);
}

/** For signals and messages, which nobody could tell to try again later; those that come while one waits are the same one. */
export function orderReload(core: Core, reason: string): void {
  // What goes wrong with a reload is in the log.
  inTurn(core, reason, () => reloadNow(core, reason, true), 'order').catch(() => {});
}

function inTurn(core: Core, reason: string, task: () => Promise<ReloadResult>, once?: string): Promise<ReloadResult> {
  const { tasks, logger } = core;
  if (tasks.busy) logger.info(`${reason}: a reload waits for its turn${once !== undefined && tasks.waits(once) ? ' already' : ''}`);
  return tasks.queue('reload', task, once);
}

/** New processes write to the new files: one that waits, empty, has the old ones. */
export function reopenLogs({ logFiles, logger, spares }: Core): void {
  openLogs(logFiles, logger);
  if (logFiles.any) spares.discard();
}

async function reloadNow(core: Core, reason: string, withAgent: boolean, env?: Variables): Promise<ReloadResult> {
  const { hooks, life, logger, tasks, releases, workers, agent, forker, listeners } = core;
  const report = reporter(core, reason);
  const done = { replaced: 0 };
  let release = releases.current;
  life.enter('reload');
  try {
    // The path may lead to another release by now, and the old one's files be gone tomorrow (test/cli/log-rotation.test.ts).
    reopenLogs(core);
    const veto = await hooks.beforeReload.promise(reason);
    if (typeof veto === 'string') throw new ClusterError('ERR_CLUSTER_RELOAD_VETOED', `reload refused: ${veto}`);
    const before = releases.current.loaded.config;
    release = await releases.next(workers.slots.length, env);
    await checkPlugins(release.loaded, before, core.options.hookTimeout);
    releases.coming = release;
    const { length: count } = workers.slots;
    tasks.step('reload', `reloading ${count} worker${count === 1 ? '' : 's'}, generation ${release.generation} (${reason})`);
    for (const line of release.waiting) tasks.step('reload', line);
    await replaceWorkers(core, release, done);
    takeOver(core, release);
    // The new code may listen elsewhere. One that has just died is about to listen on what nobody seems to want.
    if (workers.complete) listeners.release();
    if (withAgent && !forker.wantsAgent(release) && agent.children().length > 0) {
      tasks.step('reload', 'the agent goes: there is nothing for it any more');
      await tasks.orClosed(agent.vacate('reload'));
    } else if (withAgent && forker.wantsAgent(release)) {
      tasks.step('reload', 'replacing the agent');
      const { pid } = await tasks.orClosed(agent.replace(release, 'reload', { retry: true }));
      tasks.tell('reload', `agent (pid ${pid}) ready`, { slot: -1, pid });
    }
    return await finished(core, report(release.generation, done.replaced));
  } catch (error) {
    if (life.closing) throw new ClusterError('ERR_CLUSTER_CLOSING', 'the cluster is closing; the reload ends here');
    logger.error(isToldByChild(error) ? error.message : error as Error);
    await finished(core, report(release.generation, done.replaced, error as Error));
    throw error;
  } finally {
    releases.settle();
    life.enter('reloadDone');
  }
}

/** A child has written why it did not start, whole and to the same log: there one line is enough. */
const isToldByChild = (error: unknown): error is ClusterError =>
  error instanceof ClusterError && error.cause instanceof ClusterError && error.cause.code === 'ERR_CLUSTER_START';

/** From here on this release is the one that others are forked from; the master's own lines follow what it has changed. */
export function takeOver({ releases, logger, logFiles, listeners }: Core, release: Release): void {
  const before = releases.current.loaded.config.log;
  releases.take(release);
  listeners.grantAgain();
  const { level, format, rotate } = release.loaded.config.log;
  logFiles.rotation = rotate;
  if (level !== before.level) logger.level = level;
  if (format !== before.format) logger.format = format;
}

/**
 * Canary ready -> drain its predecessor -> the next slots. There are never fewer ready workers than before: a successor is
 * ready before its predecessor drains. Rejects when a successor does not become ready; the old workers that are left then
 * stay, and so do successors that have already taken over.
 */
async function replaceWorkers(core: Core, release: Release, done: { replaced: number }): Promise<void> {
  const { tasks, workers, ducks, releases, listeners } = core;
  const { soak, batch } = release.loaded.config.reload;
  const slots = [...workers.slots];
  const replace = async (slot: Slot) => {
    const started = performance.now();
    const child = await slot.succeed(release);
    if (slot === slots[0] && soak > 0) {
      tasks.step('reload', `worker#${slot.index} (pid ${child.pid}) is ready, soaking for ${soak}ms`, { slot: slot.index, pid: child.pid });
      await stayUp(child, soak);
    }
    await servesStill(child, release);
    const took = Math.round(performance.now() - started);
    const text = `worker#${slot.index} (pid ${child.pid}) ready in ${took}ms, draining pid ${slot.current?.pid ?? '-'}`;
    tasks.step('reload', text, { slot: slot.index, pid: child.pid });
    const drained = slot.handOver(child, 'reload');
    if (slot.current === child) done.replaced++;
    ducks.moveBefore(releases.current.generation);
    await drained;
  };
  try {
    for (const group of [slots.slice(0, 1), ...inBatches(slots.slice(1), batch)]) {
      await tasks.orClosed(Promise.all(group.filter((slot) => workers.slots.includes(slot)).map(replace)));
    }
  } catch (error) {
    // Those that were about to take over are not needed any more, nor where they alone listened.
    await Promise.all(workers.slots.map((slot) => slot.abandon()));
    if (workers.complete) listeners.release();
    if (error instanceof ClusterError && error.code === 'ERR_CLUSTER_CLOSING') throw error;
    const { message, detail } = error as ClusterError;
    const left = done.replaced === 0
      ? 'the old workers are untouched'
      : `${done.replaced} of ${slots.length} workers had been replaced, the others are untouched`;
    throw new ClusterError('ERR_CLUSTER_RELOAD_ABORTED', `reload aborted: ${message}; ${left}`, { cause: error, detail });
  }
}

const inBatches = <T>(all: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(all.length / size) }, (_, at) => all.slice(at * size, (at + 1) * size));

async function stayUp(child: Child, soak: number): Promise<void> {
  if (await atMost(soak, child.leftReady)) throw lostSuccessor(child, `for ${soak}ms (reload.soak)`);
}

/** Its predecessor is not drained while it does not serve their address: it may have closed what made it ready. */
async function servesStill(child: Child, { loaded: { config } }: Release): Promise<void> {
  const serves = () => !child.listen.expected?.configured || child.instead || child.addresses.some(({ configured }) => configured);
  const deadline = performance.now() + config.startTimeout;
  while (!serves()) {
    if (await atMost(LOOK, child.leftReady)) throw lostSuccessor(child, 'until it took over');
    if (performance.now() < deadline) continue;
    throw new ClusterError('ERR_CLUSTER_START', `${processName(child)} has closed the address that it was ready with`);
  }
}

/** The result of what begins now. */
export function reporter(core: Core, reason: string): (generation: number, replaced: number, error?: Error) => ReloadResult {
  const started = performance.now();
  const { cut } = core;
  return (generation, replaced, error) => ({
    ok: !error,
    reason,
    generation,
    replaced,
    cut: core.cut - cut,
    took: Math.round(performance.now() - started),
    at: new Date().toISOString(),
    ...(error ? { error: wire(error).message } : {}),
  });
}

async function finished(core: Core, result: ReloadResult): Promise<ReloadResult> {
  const { logger, hooks } = core;
  core.lastReload = result;
  const { ok, replaced, took, generation, cut } = result;
  const lost = cut > 0 ? `; ${cut} request${cut === 1 ? ' was' : 's were'} cut` : '';
  if (ok) logger[cut > 0 ? 'warn' : 'info'](`reloaded ${replaced} workers in ${took}ms (generation ${generation})${lost}`);
  await hooks.reloaded.promise(result);
  return result;
}

import type { ChildView } from '../../api/child.js';
import { MOST_WORKERS } from '../../config/schema.js';
import type { CloseReason } from '../../ipc/messages.js';
import { ClusterError } from '../../kit/errors.js';
import { show } from '../../kit/misuse.js';
import { atMost } from '../../kit/time.js';
import type { Core } from '../core.js';
import { alone } from './tasks.js';

/**
 * Changes the number of workers: `3`, `"+1"`, `"-2"`; never below 1. `gives`: nobody has asked for it, and who asks for something
 * meanwhile waits for it in place of being refused. @throws ClusterError ERR_CLUSTER_BUSY, _CLOSING, _USAGE, _START
 */
export async function scale(core: Core, change: number | string, gives = false): Promise<{ from: number; to: number }> {
  assertNumber(change);
  return core.tasks.run('scale', () => scaleNow(core, change), gives);
}

/** What signals ask for and has not had its turn yet. */
const ordered = new WeakMap<Core, number>();

/** For signals: each counts, and those that wait are one order, however many they are. */
export function orderScale(core: Core, by: 1 | -1): void {
  const sum = (ordered.get(core) ?? 0) + by;
  ordered.set(core, Math.max(-MOST_WORKERS, Math.min(MOST_WORKERS, sum)));
  core.tasks.queue('scale', async () => {
    const change = ordered.get(core) ?? 0;
    ordered.delete(core);
    return scaleNow(core, change < 0 ? String(change) : `+${change}`);
  }, 'scale by signals').catch((error: Error) => {
    if (core.life.closing) return;
    if ((error as ClusterError).code === 'ERR_CLUSTER_USAGE') core.logger.warn(`by a signal: ${error.message}`);
    else core.logger.error(error);
  });
}

/**
 * Replaces one worker, its successor ready first: recycling. Resolves false when something else is under way or it is not in
 * charge any more. Of one that was replaced and only finishes its streams, these are ended; one that stands by is ended.
 * `leavesFirst`: where there is no room for both, it has so many ms to go before its successor is forked; others serve meanwhile,
 * or connections wait in the master.
 */
export async function replaceWorker(
  core: Core, child: ChildView, reason: CloseReason, { leavesFirst }: { leavesFirst?: number } = {},
): Promise<boolean> {
  const { tasks, life, hooks, workers, ducks, standbys, releases } = core;
  const duck = ducks.children().find((one) => one === child);
  if (duck) {
    ducks.move(duck);
    await tasks.orClosed(duck.exited);
    return true;
  }
  const waiting = standbys.children().find((one) => one === child);
  if (waiting) {
    await tasks.orClosed(standbys.end(waiting, reason));
    return true;
  }
  const slot = workers.slots[child.slot];
  if (tasks.busy || life.closing || slot?.current !== child) return false;
  // Whoever wants to reload or scale need not wait until the old one has answered.
  const drained = await tasks.run('recycling', async () => {
    let gone: Promise<void>;
    if (leavesFirst !== undefined) {
      gone = slot.vacate(reason);
      await tasks.orClosed(atMost(leavesFirst, gone));
      await tasks.orClosed(slot.start(releases.current, { retry: true }));
    } else {
      const successor = await tasks.orClosed(slot.succeed(releases.current));
      gone = slot.handOver(successor, reason);
    }
    if (slot.current) hooks.recycled.call(child, slot.current, tasks.operation);
    return { gone };
  });
  await tasks.orClosed(drained.gone);
  return true;
}

/** Starts a worker that is in no slot. @throws ClusterError ERR_CLUSTER_ALONE, _CLOSING, _USAGE; what a gate says */
export async function standBy(core: Core, { slot, generation }: { slot?: number; generation?: number } = {}): Promise<ChildView> {
  const { options, releases, standbys } = core;
  if (options.alone) throw alone('a worker that stands by would be another process');
  const release = [releases.current, releases.coming].find((one) => one?.generation === (generation ?? releases.current.generation));
  if (release) return standbys.fork(release, slot);
  throw new ClusterError('ERR_CLUSTER_USAGE', `standBy: generation ${generation} is neither the current one nor coming`);
}

async function scaleNow({ tasks, life, hooks, workers, releases }: Core, change: number | string): Promise<{ from: number; to: number }> {
  const from = workers.slots.length;
  const to = wanted(change, from);
  const refusal = hooks.beforeScale.call(from, to);
  if (refusal !== undefined) throw new ClusterError('ERR_CLUSTER_USAGE', `scale: ${refusal}`);
  if (to === from) return { from, to };
  tasks.step('scale', `from ${from} to ${to} worker${to === 1 ? '' : 's'}`);
  hooks.scaleChanged.call(from, to);
  if (to < from) await tasks.orClosed(workers.shrink(to));
  else {
    try {
      await tasks.orClosed(workers.grow(to, releases.current));
    } catch (error) {
      if (!life.closing) {
        hooks.scaleChanged.call(to, from);
        await workers.shrink(from);
      }
      throw error;
    }
  }
  releases.workers(to);
  hooks.scaled.call(from, to, tasks.operation);
  return { from, to };
}

/** @throws ClusterError ERR_CLUSTER_USAGE */
function assertNumber(change: number | string): void {
  const fits = typeof change === 'number' ? Number.isSafeInteger(change) && change >= 0
    : typeof change === 'string' && /^[+-]?\d+$/.test(change);
  if (fits) return;
  throw new ClusterError('ERR_CLUSTER_USAGE', `scale: expected a whole number from 0 up, "+N" or "-N", found ${show(change)}`);
}

/**
 * From what there is when its turn has come; never below 1, nor above what a configuration may say.
 * @throws ClusterError ERR_CLUSTER_USAGE
 */
function wanted(change: number | string, from: number): number {
  const to = typeof change === 'string' && /^[+-]/.test(change) ? from + Number(change) : Number(change);
  if (to > MOST_WORKERS) throw new ClusterError('ERR_CLUSTER_USAGE', `scale: expected at most ${MOST_WORKERS} workers, found ${to}`);
  return Math.max(1, to);
}

import { ClusterError } from '../../kit/errors.js';
import type { Cancellation } from './cancellation.js';
import type { Child } from '../processes/child.js';
import type { Release } from '../processes/crew.js';
import { describeExit } from '../processes/exit-report.js';
import type { Slot } from '../processes/slot.js';
import type { WorkerGroup } from '../processes/worker-group.js';

export interface RollingReload {
  workers: WorkerGroup;
  release: Release;
  /** Milliseconds the canary must stay up before the first old worker drains. */
  soak: number;
  /** Slots replaced at a time. */
  batch: number;
  /** A close came: stop at once. */
  cancellation: Cancellation;
  step(text: string, slot: Slot): void;
}

/**
 * Canary ready -> drain its predecessor -> the next slots. There are never fewer ready workers than before: a successor is
 * ready before its predecessor drains. Rejects when a successor does not become ready; the old workers that are left then
 * stay, and so do successors that have already taken over. Returns how many were replaced.
 */
export async function rollingReload({ workers, release, soak, batch, cancellation, step }: RollingReload): Promise<number> {
  const slots = [...workers.slots];
  let replaced = 0;

  const one = async (slot: Slot, canary: boolean) => {
    const started = performance.now();
    const child = await workers.succeed(slot, release);
    if (canary && soak > 0) {
      step(`worker#${slot.index} (pid ${child.pid}) is ready, soaking for ${soak}ms`, slot);
      await stayUp(child, soak);
    }
    step(`worker#${slot.index} (pid ${child.pid}) ready in ${Math.round(performance.now() - started)}ms, draining pid ${slot.current?.pid ?? '-'}`, slot);
    replaced++;
    return workers.handOver(slot, 'reload');
  };

  try {
    const [first, ...rest] = slots;
    if (first) await cancellation.orCancelled(one(first, true));
    for (let i = 0; i < rest.length; i += batch) {
      const group = rest.slice(i, i + batch).filter((slot) => workers.slots.includes(slot));
      await cancellation.orCancelled(Promise.all(group.map((slot) => one(slot, false))));
    }
    return replaced;
  } catch (error) {
    // Those that were about to take over are not needed any more.
    await Promise.all(workers.slots.map(async (slot) => {
      const { successor } = slot;
      slot.successor = null;
      await successor?.kill('abort');
    }));
    if (error instanceof ClusterError && error.code === 'ERR_CLUSTER_CLOSING') throw error;
    const { message, detail } = error as ClusterError;
    throw new ClusterError('ERR_CLUSTER_RELOAD_ABORTED', `reload aborted: ${message}; ${replaced === 0 ? 'the old workers are untouched' : `${replaced} of ${slots.length} workers had been replaced, the others are untouched`}`, { cause: error, ...(detail ? { detail } : {}) });
  }
}

async function stayUp(child: Child, soak: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const time = new Promise<boolean>((resolve) => { timer = setTimeout(() => resolve(true), soak); });
  const stayed = await Promise.race([time, child.leftReady.then(() => false)]);
  clearTimeout(timer);
  if (stayed) return;
  const { failure, exit } = child;
  throw new ClusterError('ERR_CLUSTER_START', `worker#${child.slot} (pid ${child.pid}) did not stay up for ${soak}ms (reload.soak): ${failure?.error.message ?? (exit ? describeExit(exit) : 'it leaves')}`, { detail: failure?.error.stack });
}

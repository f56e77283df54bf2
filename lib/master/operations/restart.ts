import type { AgentGroup } from '../processes/agent-group.js';
import type { Release } from '../processes/crew.js';
import { within, type WorkerGroup } from '../processes/worker-group.js';

export interface QuickRestart {
  workers: WorkerGroup;
  /** Null: it stays as it is. */
  agents: AgentGroup | null;
  /** Read while the old workers leave. */
  release: Promise<{ release: Release; count: number }>;
  /** Milliseconds that old workers get to be gone before the new ones start beside them. */
  overlap: number;
  /** Somebody wants something newer: what starts is killed. */
  signal: AbortSignal | undefined;
}

/** How often what is still starting is looked for once it is not wanted any more, ms. */
const LOOK = 20;

/**
 * The old workers go first, then the new ones come, while connections wait in the master: the other way round than a
 * rolling reload, so that what only one process can hold (a lock, a port) is free and no old code answers any more.
 * Rejects with the first failure; the slots of those that failed stay empty until the next restart.
 */
export async function quickRestart({ workers, agents, release: reading, overlap, signal }: QuickRestart): Promise<Release> {
  const old = [...workers.slots];
  const gone = Promise.all(old.map((slot) => workers.vacate(slot, 'reload')));
  let looking: NodeJS.Timeout | undefined;
  const giveUp = () => {
    looking ??= setInterval(giveUp, LOOK);
    for (const { successor } of workers.slots) if (successor && successor.state !== 'ready') void workers.dismiss(successor, 'abort');
    if (agents?.current && agents.current.state !== 'ready') void agents.current.kill('abort');
  };
  signal?.addEventListener('abort', giveUp);
  try {
    reading.catch(() => {});
    await within(overlap, gone);
    const { release, count } = await reading;
    if (agents) await agents.replace(release, { retry: false });
    workers.addSlots(count);
    await workers.shrink(count);
    signal?.throwIfAborted();
    const starting = workers.slots.map(async (slot) => {
      await workers.succeed(slot, release);
      await workers.handOver(slot, 'reload');
    });
    await Promise.all(starting).catch(async (error: unknown) => {
      // The others run the same code; none is left behind half started.
      giveUp();
      await Promise.allSettled(starting);
      throw error;
    });
    // One that was dismissed while it became ready serves nobody any more.
    signal?.throwIfAborted();
    return release;
  } catch (error) {
    for (const slot of workers.slots) slot.left = slot.current === null;
    throw error;
  } finally {
    clearInterval(looking);
    signal?.removeEventListener('abort', giveUp);
  }
}

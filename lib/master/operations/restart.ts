import type { ReloadResult } from '../../api/control.js';
import { atMost } from '../../kit/time.js';
import type { Core } from '../core.js';
import { checkPlugins } from '../plugins/check.js';
import { inspectPort } from '../processes/exec-argv.js';
import type { Release } from '../releases.js';
import { reporter, takeOver } from './reload.js';
import { allReady } from './start.js';

export interface RestartOptions {
  /** Start the agent anew too; one that is not there is started in any case. */
  agent?: boolean;
  /** Somebody wants something newer: what starts is killed. */
  signal?: AbortSignal;
  /** Called when the old ones are gone: new ones run nothing of the app before this has resolved. */
  hold?: () => Promise<unknown> | undefined;
}

/** How long old workers may take to be gone before new ones start beside them, ms. */
const OVERLAP = 200;
/** How often what is still starting is looked for once it is not wanted any more, ms. */
const LOOK = 20;

/**
 * Replaces all workers with as little delay as can be, for development: the old ones go first, then the new ones come, while
 * connections wait in the master. The other way round than a reload, so that what only one process can hold (a lock, a port)
 * is free and no old code answers any more. The new processes come up beside that, as far as nothing of the app runs. Rejects
 * with the first failure; the slots of those that failed stay empty until the next restart. Waits for what is under way.
 * @throws ClusterError ERR_CLUSTER_START, _START_TIMEOUT, _CONFIG, _APP_NOT_FOUND, _CLOSING
 */
export function restart(core: Core, reason: string, options: RestartOptions = {}): Promise<ReloadResult> {
  const { life, tasks, releases, listeners, workers } = core;
  return tasks.queue('restart', async () => {
    const report = reporter(core, reason);
    try {
      takeOver(core, await tasks.orClosed(replaceAll(core, options)));
      if (workers.complete) listeners.release();
      await allReady(core);
      return core.lastReload = report(releases.current.generation, workers.slots.length);
    } catch (error) {
      // What was being started, where it came that far.
      const { generation } = releases.coming ?? releases.current;
      if (!life.closing) core.lastReload = report(generation, 0, error as Error);
      throw error;
    } finally {
      releases.settle();
    }
  });
}

async function replaceAll(core: Core, { agent: withAgent = false, signal, hold }: RestartOptions): Promise<Release> {
  const { workers, agent, forker, releases, deadlines } = core;
  const replaced = forker.wantsAgent(releases.current) && (withAgent || agent.current === null) ? agent : null;
  const gone = Promise.all(workers.slots.map((slot) => slot.vacate('reload')));
  let looking: NodeJS.Timeout | undefined;
  const giveUp = () => {
    looking ??= setInterval(giveUp, LOOK);
    for (const { successor, departures } of workers.slots) {
      if (successor && successor.state !== 'ready') void departures.dismiss(successor, 'abort');
    }
    if (replaced?.current && replaced.current.state !== 'ready') void replaced.current.kill('abort');
  };
  signal?.addEventListener('abort', giveUp);
  try {
    // Read while the old workers leave.
    const before = releases.current.loaded.config;
    const reading = releases.edited(workers.slots.length).then(async (release) => {
      await checkPlugins(release.loaded, before, core.options.hookTimeout);
      return release;
    });
    const inspected = inspectPort(before, 'master', -1) !== null;
    // Where no server is, nobody waits for an answer.
    const ended = atMost(inspected || !before.server ? deadlines.drain + 1_000 : OVERLAP, gone);
    const release = releases.coming = await reading.catch(async (error: unknown) => {
      await ended;
      throw error;
    });
    const { workers: count } = release.loaded.config;
    workers.addSlots(count);
    const shrunk = workers.shrink(count);
    // Two processes cannot have the same inspector's port, and which one it gets is settled before the fork.
    if (inspected) await ended;
    // They come up while the old ones leave, and run nothing of the app before that.
    const after = (async () => {
      await ended;
      signal?.throwIfAborted();
      await replaced?.replace(release, 'reload');
      await shrunk;
      await hold?.();
    })();
    const starting = workers.slots.map((slot) => slot.replace(release, 'reload', { after }));
    await Promise.all([after, ...starting]).catch(async (error: unknown) => {
      // The others run the same code; none is left behind half started.
      giveUp();
      await Promise.allSettled(starting);
      throw error;
    });
    // One that was dismissed while it became ready serves nobody any more.
    signal?.throwIfAborted();
    return release;
  } catch (error) {
    for (const slot of workers.slots) slot.refork.left = slot.current === null;
    throw error;
  } finally {
    clearInterval(looking);
    signal?.removeEventListener('abort', giveUp);
  }
}

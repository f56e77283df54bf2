import type { Faults } from '../../kit/faults.js';
import type { Logger } from '../../kit/logger.js';
import type { Life } from '../life.js';
import { processName, slotName } from '../processes/exit-report.js';
import type { Forker } from '../processes/forker.js';
import type { Slot } from '../processes/slot.js';
import type { Workers } from '../processes/workers.js';
import type { Releases } from '../releases.js';
import type { Tasks } from './tasks.js';

/**
 * The last net, in a process that is a master and nothing else: what nobody catches is a line in its log. In a process of the
 * user's own an exception ends it, as in any other. Returns what takes the net away.
 */
export function catchUncaught({ faults }: { readonly faults: Faults }): () => void {
  const thrown = (error: unknown): void => faults.caught('uncaught exception', error);
  const rejected = (reason: unknown): void => faults.caught('unhandled rejection', reason);
  process.on('uncaughtException', thrown);
  process.on('unhandledRejection', rejected);
  return () => {
    process.off('uncaughtException', thrown);
    process.off('unhandledRejection', rejected);
  };
}

/** What is looked over; the same objects as in the core. */
export interface LookedOver {
  readonly life: Life;
  readonly logger: Logger;
  readonly tasks: Tasks;
  readonly releases: Releases;
  readonly forker: Forker;
  readonly agent: Slot;
  readonly workers: Workers;
}

/** When the slots are looked over after a fault, ms: what was under way may still come to its end by itself. */
const LOOKS = [100, 1_000, 5_000];

/** To be called at each fault: looks the slots over a little later, once for all faults until then. */
export function lookAfter(core: LookedOver): () => void {
  let timer: NodeJS.Timeout | undefined;
  let next = 0;
  const arm = (): void => {
    if (timer !== undefined || core.life.closing) return;
    const pause = LOOKS[Math.min(next++, LOOKS.length - 1)];
    timer = setTimeout(look, pause).unref();
  };
  const look = (): void => {
    timer = undefined;
    try {
      const settled = lookOver(core);
      if (!settled || next < LOOKS.length) arm();
    } catch (error) {
      // Not a fault that is counted: each would look again.
      core.logger.error('the slots could not be looked over', { error });
    }
  };
  return () => {
    next = 0;
    arm();
  };
}

/**
 * Each slot has a process, a timer or a reason: one that has none of them is forked again, and a process that has ended unseen is
 * seen. False while something else is under way, whose matter the slots are.
 */
function lookOver(core: LookedOver): boolean {
  const { life, tasks, agent, workers, forker, releases, logger } = core;
  for (const child of [...agent.children(), ...workers.children()]) {
    // Each by itself: what is wrong with one is no reason to leave the others. Not counted either.
    try {
      child.lookAgain();
    } catch (error) {
      logger.error(`${processName(child)} could not be looked over`, { error });
    }
  }
  if (!life.started || life.closing) return true;
  if (tasks.busy) return false;
  const expected: Slot[] = forker.wantsAgent(releases.current) ? [agent, ...workers.slots] : workers.slots;
  for (const slot of expected) {
    // What follows its end was lost.
    if (slot.current?.state === 'exited') slot.current = null;
    if (slot.current !== null || slot.pending || slot.left) continue;
    logger.warn(`${slotName(slot.policy.role, slot.index)} had neither a process nor a timer after a fault: it is forked again`);
    slot.refork.after(0);
  }
  return true;
}

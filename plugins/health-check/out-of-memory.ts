import type { Master, ChildView, ExitCause } from '../../lib/index.js';
import type { Sample } from './messages.js';
import { OomKills, ownCounters } from './oom-kills.js';
import type { Pulse } from './pulse.js';
import type { Pulses } from './pulses.js';
import { threadsShort } from './threads.js';

/** No heap grows faster: bytes a millisecond. */
const FASTEST_GROWTH = 2_000_000;
/** How V8 ends a process without memory, by signal or, through a shell, by code. */
const ABORTS: ReadonlySet<unknown> = new Set(['SIGABRT', 'SIGTRAP', 'SIGILL', 132, 133, 134]);
const ABORT_ON_UNCAUGHT = /^--abort[-_]on[-_]uncaught[-_]exception$/;

type Ending = { code: number | null; signal: NodeJS.Signals | null };

/**
 * Tells a lack of memory from a crash: V8 that found its heap full aborts, and the kernel's OOM killer sends SIGKILL; both
 * look like other ends from outside.
 */
export function explainDeaths({ hooks, logger, config }: Master, pulses: Pulses): void {
  const kernel = new OomKills(ownCounters());
  const abortsOnUncaught = config.execArgv.some((arg) => ABORT_ON_UNCAUGHT.test(arg));
  pulses.onSample(() => kernel.look());

  const explain = (pulse: Pulse, { code, signal }: Ending): ExitCause | null => {
    if (signal === 'SIGKILL') {
      if (!kernel.claim()) return null;
      tell(pulse, 'was killed by the kernel for lack of memory');
      return 'outOfMemory';
    }
    if (!ABORTS.has(signal ?? code)) return null;
    // Of one that was never ready nothing is known: V8 says itself, in its output, that a heap is full.
    if (pulse.aborted || abortsOnUncaught) return 'crash';
    const short = isNearlyFull(pulse) ? null : threadsShort();
    if (short) tell(pulse, `was aborted, perhaps as it may make no more threads: ${short}`);
    if (short || pulse.readyTick === null || !couldBeFull(pulse)) return 'crash';
    tell(pulse, 'ran out of memory: its JavaScript heap is full');
    return 'outOfMemory';
  };
  const tell = (pulse: Pulse, what: string): void => {
    const { name, samples } = pulse;
    const json = config.log.format === 'json';
    logger.error(`${name} ${what}`, json ? { samples } : undefined);
    if (!json && samples.length > 0) logger.error(`${name} last samples:\n${samples.map((one) => line(one, pulse)).join('\n')}`);
  };

  const forked = (child: ChildView): void => {
    child.explain = (ending) => {
      const pulse = pulses.of(child);
      return pulse ? explain(pulse, ending) : null;
    };
  };
  hooks.workerForked.tap('health-check', forked);
  hooks.agentForked.tap('health-check', forked);
}

/** Whether the heap can have filled up since it was last seen. A child that never sent a sample has the benefit of the doubt. */
export function couldBeFull({ last, heardAt }: Pick<Pulse, 'last' | 'heardAt'>, now = performance.now()): boolean {
  return !last || last.heapUsed + (now - heardAt) * FASTEST_GROWTH >= last.heapLimit * 0.9;
}

const isNearlyFull = ({ last }: Pulse): boolean => last !== null && last.heapUsed >= last.heapLimit * 0.8;

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MB`;

function line({ at, rss, heapUsed, heapLimit, requests }: Sample, { last, heardAt }: Pulse): string {
  const age = performance.now() - heardAt + (last?.at ?? at) - at;
  const heap = `heap ${megabytes(heapUsed)} of ${megabytes(heapLimit)}`;
  return `  ${(age / 1000).toFixed(1)} s before: rss ${rss === null ? 'unknown' : megabytes(rss)}, ${heap}, ${requests} requests`;
}

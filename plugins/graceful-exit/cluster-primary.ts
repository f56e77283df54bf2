import cluster, { type Worker } from 'node:cluster';
import { setTimeout as delay } from 'node:timers/promises';

/** Milliseconds between two looks at the time that is left. */
const LOOK = 100;

const how = ({ code, signal }: { code: number; signal: string }): string => (signal ? `on ${signal}` : `with ${code}`);

/**
 * The workers of a plain node:cluster are told as its first process was, which ends after them: they would end with it, whatever
 * they are answering. What forks them again is told of none of these ends. Resolves with what went wrong, a line each.
 */
export async function closeWorkers(signal: NodeJS.Signals, left: () => number): Promise<string[]> {
  const workers = Object.values(cluster.workers ?? {}).filter((worker): worker is Worker => worker !== undefined && !worker.isDead());
  if (!cluster.isPrimary || workers.length === 0) return [];
  cluster.removeAllListeners('exit').removeAllListeners('disconnect');
  const waiting = new Set(workers);
  const wrong: string[] = [];
  const gone = Promise.all(workers.map((worker) => new Promise<void>((resolve) => {
    worker.process.once('exit', (code: number, by: string) => {
      waiting.delete(worker);
      if (code !== 0 && by !== signal) wrong.push(`worker ${worker.id} (pid ${worker.process.pid}) ended ${how({ code, signal: by })}`);
      resolve();
    });
    worker.process.kill(signal);
  })));
  while (waiting.size > 0 && left() > 0) await Promise.race([gone, delay(LOOK)]);
  return [...wrong, ...[...waiting].map((worker) => `worker ${worker.id} (pid ${worker.process.pid}) has not ended in time`)];
}

export interface Counts {
  agent: number;
  workers: number;
}

/** Checks in a row that must find nobody, as in the seed. */
const STRIKES = 3;

/**
 * The seed's last resort: the agent or all workers are gone and nobody is starting or waiting to start, at three checks in
 * a row; then the master gives up. Returns what ends the checks.
 */
export function threeStrikes(interval: number, look: () => Counts & { expectsAgent: boolean; pending: boolean }, out: (counts: Counts) => void): () => void {
  let strikes = 0;
  const timer = setInterval(() => {
    const { agent, workers, expectsAgent, pending } = look();
    const bad = !pending && (workers === 0 || (expectsAgent && agent === 0));
    strikes = bad ? strikes + 1 : 0;
    if (strikes >= STRIKES) out({ agent, workers });
  }, interval);
  timer.unref();
  return () => clearInterval(timer);
}

import type { Runtime } from '../../lib/runtime.js';

/** Of so many connections one worker lets go at once: each is the master's work to hand on. */
const MOST = 500;

/**
 * In a worker: clients that keep their connections would stay with those who were there before. Each idle one goes back to the
 * master, which hands it to the next worker as if it had just come; one that is being answered follows with the end of its answer.
 */
export default function adaptiveWorkers(runtime: Runtime): void {
  runtime.channel.on('adaptive.spread', () => { void runtime.giveBackIdle(MOST); });
}

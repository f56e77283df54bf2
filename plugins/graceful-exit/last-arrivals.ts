import type { Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Who has been answered just now is back within so many looks, a millisecond apart; where such are held, nobody comes any more then. */
const QUIET = 10;
/** Where there is always somebody who comes, ms; and what it takes to find a moment in which there is nobody. */
const LONGEST = 250;
const MOMENT = 50;
/** A turn of the event loop that took no longer, ms, has hardly done anything but to look who is there. */
const SHORT = 0.2;
/** What says that one has been taken, or would have been if there were room. */
const TAKEN = ['connection', 'drop'] as const;

/**
 * Takes who waits in the kernel to be accepted, before `close` closes the listening socket: that resets whoever waits there, and they
 * have sent their requests as a rule (test/integration/drain-queue.test.ts). Resolves when others who share the socket have done the
 * same, as far as that can be known. Not to be delayed any more when it `hurries`.
 */
export async function takeLast(server: Server, hurries: () => boolean, close: () => void): Promise<void> {
  const began = performance.now();
  const lasts = (longest: number) => !hurries() && performance.now() - began < longest;
  let taken = 0;
  const count = (): void => { taken++; };
  for (const event of TAKEN) server.on(event, count);
  // Looks and not milliseconds: a process that got no time to run has not looked.
  for (let quiet = 0, before = 0; quiet < QUIET && lasts(LONGEST); quiet = before === taken ? quiet + 1 : 0) {
    before = taken;
    await delay(1);
  }
  // A turn of the loop takes one from each socket, and may have looked at it before the last one came.
  for (let before = -1, took = Infinity; (before !== taken || took > SHORT) && lasts(LONGEST + MOMENT);) {
    before = taken;
    await turn();
    const since = performance.now();
    await turn();
    took = performance.now() - since;
  }
  for (const event of TAKEN) server.off(event, count);
  close();
  if (!hurries()) await delay(QUIET);
}

/** Of the event loop, which looks at what has come in it. */
const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

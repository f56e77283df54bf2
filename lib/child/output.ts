import { fstatSync, writeSync } from 'node:fs';
import type { LogOutput } from '../kit/logger.js';
import { whenMade } from '../node/process.js';

/** How often is looked whether all is read, ms. */
const LOOK = 10;
/** Bytes of the app's own lines that nobody has read yet: behind more of them a line of ours is dropped. */
const MOST = 1024 * 1024;

const NAMES = { 1: 'stdout', 2: 'stderr' } as const;
const OTHER = { 1: 2, 2: 1 } as const;
const made = new Map<1 | 2, NodeJS.WriteStream>();
const dropped = { 1: 0, 2: 0 };

/**
 * Once, at the beginning. A server whose output nobody reads any more (`| head`, a terminal that was closed) serves on: EPIPE
 * would end it at its next line.
 */
export function watchOutput(): void {
  for (const fd of [1, 2] as const) {
    whenMade(NAMES[fd], (stream) => {
      made.set(fd, stream);
      stream.on('error', () => {});
    });
  }
}

/** A child's log: at once where that can be, else behind what the app has written and nobody has read yet, never inside it. */
export const logOutput: LogOutput = {
  write(line, urgent, lost) {
    const fd = urgent ? 2 : 1;
    const busy = waiting(fd) > 0 ? fd : waiting(OTHER[fd]) > 0 && samePipe() ? OTHER[fd] : null;
    if (busy !== null && waiting(busy) > MOST) {
      dropped[fd]++;
      return;
    }
    const due = dropped[fd] > 0 ? lost(`${dropped[fd]} log entries dropped here: nobody read them`) : '';
    dropped[fd] = 0;
    const bytes = Buffer.from(due + line);
    const rest = busy === null ? bytes.subarray(writeNow(fd, bytes)) : bytes;
    if (rest.length > 0) process[NAMES[busy ?? fd]].write(rest);
  },
};

/** Bytes that are kept until somebody reads. */
const waiting = (fd: 1 | 2): number => made.get(fd)?.writableLength ?? 0;

/** `2>&1`. */
function samePipe(): boolean {
  // With bigint, for what require() makes of the last figures of a pipe (docs/decisions/node-facts.md, 36).
  const [out, err] = [fstatSync(1, { bigint: true }), fstatSync(2, { bigint: true })];
  return out.ino === err.ino && out.dev === err.dev;
}

/** How much of it the pipe takes; all of it where nobody will ever read it. */
function writeNow(fd: number, bytes: Buffer): number {
  let written = 0;
  try {
    while (written < bytes.length) written += writeSync(fd, bytes, written);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return bytes.length;
  }
  return written;
}

/** Somebody still has to read what this process has written. */
export const outputWaits = (): boolean => [...made.values()].some((stream) => !stream.destroyed && stream.writableLength > 0);

/** Resolves when all has reached who reads, or after `limit` ms. */
export async function outputRead(limit: number): Promise<void> {
  const until = performance.now() + limit;
  while (outputWaits() && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, LOOK));
}

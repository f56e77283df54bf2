import childProcess from 'node:child_process';
import type { BlockingCall } from './messages.js';

const CALLS = ['spawnSync', 'execSync', 'execFileSync'] as const;
const MAX_FRAMES = 30;
const LINE = 1_000;

/**
 * Tells before each call that waits for another process, and after it. While it lasts nothing of this process answers, not
 * even the inspector, which is opened by JavaScript that runs; so the stack has to be known before. The 30 microseconds
 * it takes are lost in the milliseconds of starting a process.
 */
export function announceBlockingCalls(tell: (call: Omit<BlockingCall, 'requests'> | null) => void): void {
  let depth = 0;
  for (const name of CALLS) {
    const original = childProcess[name] as (...args: unknown[]) => unknown;
    const announced = function (this: unknown, ...args: unknown[]): unknown {
      // execSync is made of spawnSync in some versions of Node.
      if (depth++ === 0) tell({ name, stack: stackOf(announced) });
      try {
        return original.apply(this, args);
      } finally {
        if (--depth === 0) tell(null);
      }
    };
    Object.defineProperty(announced, 'name', { value: name });
    Object.assign(childProcess, { [name]: announced });
  }
}

function stackOf(below: (...args: unknown[]) => unknown): string[] {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = MAX_FRAMES;
  const holder: { stack?: unknown } = {};
  Error.captureStackTrace(holder, below);
  Error.stackTraceLimit = limit;
  // A prepareStackTrace of the app's may give anything.
  return typeof holder.stack === 'string' ? holder.stack.split('\n').slice(1, MAX_FRAMES + 1).map((line) => line.slice(0, LINE)) : [];
}

import { execFileSync } from 'node:child_process';
import os from 'node:os';

/** Cores for what is measured and another one for who asks; null where there is one alone, or no taskset. */
export const apart: { server: string; load: string } | null = ((count) => {
  if (process.platform !== 'linux' || count < 2) return null;
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' });
  } catch {
    return null;
  }
  return { server: `0-${count - 2}`, load: String(count - 1) };
})(os.availableParallelism());

export const pin = (pid: number, cores: string): unknown => execFileSync('taskset', ['-a', '-cp', cores, String(pid)], { stdio: 'ignore' });

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** What tells a process from a later one with the same number: ticks since boot on Linux, seconds of the epoch elsewhere. */
export interface ProcessIdentity {
  pid: number;
  /** Null where it cannot be known. */
  startedTick: number | null;
}

/** `ps` and our own clock may differ by this much, seconds. */
const TOLERANCE = 3;

export function ownIdentity(): ProcessIdentity {
  const { pid, platform } = process;
  // Asking ps would cost a start some milliseconds; our own uptime says the same.
  return { pid, startedTick: platform === 'linux' ? ticksFromProc(pid) : Math.round(Date.now() / 1000 - process.uptime()) };
}

/** The process runs, and is the one that was recorded. A zombie does not run. */
export function isRunning({ pid, startedTick }: ProcessIdentity): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  if (process.platform === 'linux') {
    const ticks = ticksFromProc(pid);
    return ticks !== null && (startedTick === null || startedTick === ticks);
  }
  const now = startedTick === null ? null : secondsFromPs(pid);
  return now === null || Math.abs(now - (startedTick as number)) <= TOLERANCE;
}

function ticksFromProc(pid: number): number | null {
  try {
    // The name in brackets may hold spaces and brackets itself, so fields are counted from the last one: state is the third.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : Number(fields[19]);
  } catch {
    return null;
  }
}

function secondsFromPs(pid: number): number | null {
  if (process.platform === 'win32') return null;
  try {
    const text = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', timeout: 2_000, env: { ...process.env, LC_ALL: 'C' } });
    const time = Date.parse(text.trim());
    return Number.isNaN(time) ? null : Math.round(time / 1000);
  } catch {
    return null;
  }
}

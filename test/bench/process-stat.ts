import { readdirSync, readFileSync } from 'node:fs';

const available = process.platform === 'linux';
/** Processor time that processes have used with all threads that they have, ms; null where it cannot be known. */
export function cpuTime(pids: readonly number[]): number | null {
  if (!available) return null;
  const threads = pids.flatMap((pid) => readdirSync(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}/schedstat`));
  return threads.reduce((sum, file) => sum + Number(readFileSync(file, 'latin1').split(' ')[0]) / 1e6, 0);
}

/** Resident memory in MiB; null where it cannot be known. */
export function rss(pid: number): number | null {
  if (!available) return null;
  const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return kib === undefined ? null : Number(kib) / 1024;
}

/** All processes of a process group, its leader's id given. */
export function group(leader: number): number[] {
  return readdirSync('/proc').map(Number).filter((pid) => {
    if (!Number.isInteger(pid)) return false;
    try {
      return Number(readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ')[2]) === leader;
    } catch {
      // It ended meanwhile.
      return false;
    }
  });
}

/** Memory of processes in MiB, what they share counted once; null where it cannot be known. */
export function pss(pids: readonly number[]): number | null {
  if (!available) return null;
  return pids.reduce((sum, pid) => {
    const kib = /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1];
    return sum + Number(kib) / 1_024;
  }, 0);
}

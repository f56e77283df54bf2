import { readFileSync } from 'node:fs';

const available = process.platform === 'linux';
/** Linux counts in hundredths of a second. */
const TICK = 10;

/** Processor time that processes have used, ms; null where it cannot be known. */
export function cpuTime(pids: readonly number[]): number | null {
  if (!available) return null;
  return pids.reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ');
    return sum + (Number(fields[11]) + Number(fields[12])) * TICK;
  }, 0);
}

/** Resident memory in MiB; null where it cannot be known. */
export function rss(pid: number): number | null {
  if (!available) return null;
  const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return kib === undefined ? null : Number(kib) / 1024;
}

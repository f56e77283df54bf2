import { readFileSync, readdirSync } from 'node:fs';

/** Threads of a Node process, more or less: fewer free ones, and the next process may get not all of them. */
const OF_A_PROCESS = 16;
/** A limit that is higher is not looked into: that takes a file for each process of the machine. */
const COUNTED = 4_096;

/**
 * Why a process may have been refused a thread a moment ago, in words; null: there was room. Node and libuv abort then, as V8 does
 * when a heap is full. Linux alone tells; root has no such limit of its own.
 */
export function threadsShort(root = '/', uid = process.getuid?.()): string | null {
  return ofGroup(root) ?? (uid === undefined || uid === 0 ? null : ofUser(root, uid));
}

function ofGroup(root: string): string | null {
  const group = /^(?:0:|\d+:pids):(.*)$/m.exec(read(`${root}/proc/self/cgroup`))?.[1] ?? '/';
  for (const dir of [`sys/fs/cgroup${group}`, 'sys/fs/cgroup', `sys/fs/cgroup/pids${group}`, 'sys/fs/cgroup/pids']) {
    const [max, current] = ['max', 'current'].map((name) => Number.parseInt(read(`${root}/${dir}/pids.${name}`)));
    if (max === undefined || current === undefined || Number.isNaN(max)) continue;
    return max - current < OF_A_PROCESS ? `${current} of ${max} processes and threads of the container are in use (pids.max)` : null;
  }
  return null;
}

function ofUser(root: string, uid: number): string | null {
  const limit = Number(/^Max processes\s+(\d+)/m.exec(read(`${root}/proc/self/limits`))?.[1] ?? Infinity);
  if (limit > COUNTED) return null;
  const used = pids(root).reduce((sum, pid) => {
    const status = read(`${root}/proc/${pid}/status`);
    const [, owner] = /^Uid:\s+(\d+)/m.exec(status) ?? [];
    return Number(owner) === uid ? sum + Number(/^Threads:\s+(\d+)/m.exec(status)?.[1] ?? 0) : sum;
  }, 0);
  return limit - used < OF_A_PROCESS ? `${used} of ${limit} processes and threads of this user are in use (ulimit -u)` : null;
}

function pids(root: string): string[] {
  try {
    return readdirSync(`${root}/proc`).filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

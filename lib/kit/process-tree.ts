import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';

/** Sends a signal; false when the process is gone. Signal 0 only asks. */
export function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * SIGKILLs a process and everything it has started. The tree is read before the first kill, as orphans change their
 * parent; stopped processes die of SIGKILL too.
 */
export async function killTree(pid: number | undefined): Promise<void> {
  // A process that never came to be has no pid; -1 would mean all there are.
  if (pid === undefined || pid <= 0) return;
  const tree = [pid, ...await descendants(pid)];
  for (const one of tree) signal(one, 'SIGKILL');
}

/** Process ids of all descendants, parents first. */
export async function descendants(pid: number): Promise<number[]> {
  const children = process.platform === 'linux' ? fromProc() : await fromPs();
  const found: number[] = [];
  const visit = (parent: number) => {
    for (const child of children(parent)) {
      if (found.includes(child)) continue;
      found.push(child);
      visit(child);
    }
  };
  visit(pid);
  return found;
}

/** The kernel's own list of a process's children: one small read a process, where reading all of /proc would block. */
function fromProc(): (pid: number) => number[] {
  return (pid) => {
    try {
      return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  };
}

async function fromPs(): Promise<(pid: number) => number[]> {
  const byParent = new Map<number, number[]>();
  try {
    const { stdout } = await promisify(execFile)('ps', ['-axo', 'pid=,ppid='], { timeout: 2_000 });
    for (const line of stdout.split('\n')) {
      const [child, parent] = line.trim().split(/\s+/).map(Number);
      if (child && parent) byParent.set(parent, [...byParent.get(parent) ?? [], child]);
    }
  } catch {
    // Without ps only the process itself is killed.
  }
  return (pid) => byParent.get(pid) ?? [];
}

import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
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
 * SIGKILLs a process and everything it has started, but for what has a session of its own and what is `spared`, with all that
 * this has started. The tree is read before the first kill, as orphans change their parent; stopped processes die of SIGKILL too.
 */
export async function killTree(pid: number | undefined, spared?: (pid: number) => boolean): Promise<void> {
  // A process that never came to be has no pid; -1 would mean all there are.
  if (pid === undefined || pid <= 0) return;
  const tree = [pid, ...await descendants(pid, spared)];
  for (const one of tree) signal(one, 'SIGKILL');
}

/** Process ids of all descendants in the same session (on Linux; elsewhere of all), parents first; `spared` ones and theirs apart. */
export async function descendants(pid: number, spared: (pid: number) => boolean = () => false): Promise<number[]> {
  const isLinux = process.platform === 'linux';
  const children = isLinux ? fromProc() : await fromPs();
  const session = isLinux ? sessionFromProc(pid) : null;
  const found: number[] = [];
  const visit = (parent: number) => {
    for (const child of children(parent)) {
      if (found.includes(child) || spared(child) || (session !== null && sessionFromProc(child) !== session)) continue;
      found.push(child);
      visit(child);
    }
  };
  visit(pid);
  return found;
}

/** The kernel's own lists of what each thread of a process has started: small reads, where reading all of /proc would block. */
function fromProc(): (pid: number) => number[] {
  return (pid) => {
    try {
      const list = (thread: string): string => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8');
      return readdirSync(`/proc/${pid}/task`).flatMap((thread) => list(thread).split(' ')).filter(Boolean).map(Number);
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
  const fields = statFromProc(pid);
  return !fields || fields[0] === 'Z' || fields[0] === 'X' ? null : Number(fields[19]);
}

const sessionFromProc = (pid: number): number | null => {
  const session = statFromProc(pid)?.[3];
  return session === undefined ? null : Number(session);
};

function statFromProc(pid: number): string[] | null {
  try {
    // The name in brackets may hold spaces and brackets itself, so fields are counted from the last one: state is the third.
    return readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
  } catch {
    return null;
  }
}

function secondsFromPs(pid: number): number | null {
  if (process.platform === 'win32') return null;
  try {
    const env = { ...process.env, LC_ALL: 'C' };
    const text = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', timeout: 2_000, env });
    const time = Date.parse(text.trim());
    return Number.isNaN(time) ? null : Math.round(time / 1000);
  } catch {
    return null;
  }
}

/**
 * Resident memory of this process, bytes. Null where the system does not tell: Node opens a file for it, which fails at the
 * limit of descriptors and without /proc (docs/decisions/node-facts.md, 16), and a figure is no reason to fail.
 */
export function ownRss(): number | null {
  try {
    return process.memoryUsage.rss();
  } catch {
    return null;
  }
}

/** A limit that is lower than any on other systems: there it is asked for, which takes long, when so many are in use. */
const ASK_AT = 128;

let limit: number | undefined;

/**
 * How many descriptors this process may have; Infinity where that cannot be known. `used`: how many it has at least. Node has
 * raised the soft limit to the hard one when it started.
 */
export function descriptorLimit(used: number): number {
  if (limit !== undefined) return limit;
  if (process.platform === 'linux') return limitFromProc(used);
  return used < ASK_AT ? Infinity : limit = limitFromReport();
}

/** No descriptor is left, in this process or in the system. */
export const isShort = (error: unknown): boolean => ['EMFILE', 'ENFILE'].includes((error as NodeJS.ErrnoException | null)?.code ?? '');

function limitFromProc(used: number): number {
  try {
    const text = readFileSync('/proc/self/limits', 'latin1');
    return limit = Number(/^Max open files\s+(\d+)/m.exec(text)?.[1] ?? Infinity);
  } catch (error) {
    // It is reached: not even this can be opened. To be asked again.
    if (isShort(error)) return used + 1;
    return limit = Infinity;
  }
}

function limitFromReport(): number {
  try {
    const report = process.report.getReport() as { userLimits?: { open_files?: { soft?: unknown } } };
    const soft = Number(report.userLimits?.open_files?.soft);
    return soft > 0 ? soft : Infinity;
  } catch {
    return Infinity;
  }
}

import { execFile } from 'node:child_process';
import { promises } from 'node:fs';
import { promisify } from 'node:util';

/** What the operating system tells of a process that does not answer any more. */
export interface ProcessFacts {
  /** `R` runs, `S` and `D` wait, `T` is stopped; null where it cannot be known. */
  state: string | null;
  /** CPU time since it began, ms. */
  cpu: number | null;
  /** Bytes. */
  rss: number | null;
}

const run = promisify(execFile);
const isLinux = process.platform === 'linux';
const TICK = 10;
const PAGE = 4_096;

export async function processFacts(pid: number): Promise<ProcessFacts> {
  try {
    return isLinux ? await fromProc(pid) : await fromPs(pid);
  } catch {
    return { state: null, cpu: null, rss: null };
  }
}

async function fromProc(pid: number): Promise<ProcessFacts> {
  const stat = await promises.readFile(`/proc/${pid}/stat`, 'latin1');
  // The name, in parentheses, may hold blanks and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? null, cpu: (Number(fields[11]) + Number(fields[12])) * TICK, rss: Number(fields[21]) * PAGE };
}

async function fromPs(pid: number): Promise<ProcessFacts> {
  const { stdout } = await run('ps', ['-o', 'state=,time=,rss=', '-p', String(pid)], { timeout: 1_000 });
  const [state = '', time = '', rss] = stdout.trim().split(/\s+/);
  const seconds = time.split(/[-:]/).reduce((sum, part) => sum * 60 + Number(part), 0);
  return { state: state.charAt(0) || null, cpu: seconds * 1000, rss: Number(rss) * 1024 };
}

/**
 * Milliseconds that a process has been ready to run and got no processor (Linux; else 0): on a busy machine it is not to
 * blame for them.
 */
export async function starved(pid: number): Promise<number> {
  if (!isLinux) return 0;
  try {
    return Number((await promises.readFile(`/proc/${pid}/schedstat`, 'latin1')).split(' ')[1]) / 1e6;
  } catch {
    return 0;
  }
}

/** The function of the kernel that a process waits in (Linux): `pipe_read`, `futex_do_wait`; null when it runs. */
export async function kernelFunction(pid: number): Promise<string | null> {
  if (!isLinux) return null;
  const name = await promises.readFile(`/proc/${pid}/wchan`, 'latin1').catch(() => '0');
  return name === '0' || name === '' ? null : name;
}

/** TCP ports that a process listens on, of one IPv4 address where one is named. */
export async function listeningPorts(pid: number, host?: string): Promise<number[]> {
  try {
    return isLinux ? await portsFromProc(pid, host) : await portsFromLsof(pid, host);
  } catch {
    return [];
  }
}

async function portsFromProc(pid: number, host?: string): Promise<number[]> {
  // As the kernel writes it: the bytes of an address in the order that its memory has.
  const only = host === undefined ? '' : `${Buffer.from(host.split('.').map(Number)).reverse().toString('hex').toUpperCase()}:`;
  const ports = new Map<string, number>();
  for (const table of ['tcp', 'tcp6']) {
    const text = await promises.readFile(`/proc/${pid}/net/${table}`, 'latin1').catch(() => '');
    for (const line of text.split('\n').slice(1)) {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
      if (state === '0A' && local.startsWith(only)) ports.set(`socket:[${inode}]`, parseInt(local.slice(local.lastIndexOf(':') + 1), 16));
    }
  }
  const descriptors = await promises.readdir(`/proc/${pid}/fd`);
  const links = await Promise.all(descriptors.map((fd) => promises.readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
  return links.flatMap((link) => ports.get(link) ?? []);
}

async function portsFromLsof(pid: number, host?: string): Promise<number[]> {
  const { stdout } = await run('lsof', ['-nP', '-a', '-p', String(pid), '-iTCP', '-sTCP:LISTEN', '-Fn'], { timeout: 1_000 });
  return [...stdout.matchAll(/^n(.*):(\d+)$/gm)].filter(([, at]) => host === undefined || at === host).map(([, , port]) => Number(port));
}

/** Processes that it has started, and theirs, with their command lines (Linux; else none); parents first. */
export async function descendantsOf(pid: number): Promise<{ pid: number; command: string }[]> {
  try {
    const pids = (await promises.readFile(`/proc/${pid}/task/${pid}/children`, 'latin1')).split(' ').filter(Boolean).map(Number);
    const families = await Promise.all(pids.map(async (child) => {
      const command = (await promises.readFile(`/proc/${child}/cmdline`, 'latin1').catch(() => '')).replaceAll('\0', ' ').trim();
      return [{ pid: child, command }, ...await descendantsOf(child)];
    }));
    return families.flat();
  } catch {
    return [];
  }
}

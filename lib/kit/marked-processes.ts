import { execFile } from 'node:child_process';
import { promises } from 'node:fs';
import { promisify } from 'node:util';
import type { ProcessIdentity } from './processes.js';

/** A process that bears a mark, or was started by one that does. */
export interface MarkedProcess extends ProcessIdentity {
  /** Value of the variable that marks it. */
  mark: string;
  /** Its command line in one line of printable text, cut after 100 characters. */
  command: string;
}

/** How many are looked at together: the reads share four threads with whatever else this process reads. */
const TOGETHER = 8;
/** A chain of parents is never this long. */
const MOST_PARENTS = 100;
const LONGEST_COMMAND = 100;

/**
 * Finds orphans that have a variable of this name in the environment that they were started with, and what these have started
 * themselves, all in the session of this process: one that has a session of its own is to stay. `wanted` is asked for each
 * value.
 *
 * Who has lost its parent belongs to an ancestor of this process, so these are asked for their children and not the whole
 * machine: some hundred small reads where thousands of processes run, and none that blocks. Without /proc `ps` is asked.
 */
export async function markedOrphans(variable: string, wanted: (value: string) => boolean): Promise<MarkedProcess[]> {
  if (process.platform === 'win32') return [];
  const own = await statOf(process.pid);
  return own ? fromProc(variable, wanted, own.session) : fromPs(variable, wanted);
}

async function fromProc(variable: string, wanted: (value: string) => boolean, session: string): Promise<MarkedProcess[]> {
  const found = new Map<number, MarkedProcess>();
  const visit = async (pid: number, inherited?: string): Promise<void> => {
    if (pid === process.pid || found.has(pid)) return;
    const stat = await statOf(pid);
    if (!stat?.runs || stat.session !== session) return;
    const mark = inherited ?? valueIn(await read(`/proc/${pid}/environ`), '\0', variable);
    if (mark === undefined || !wanted(mark)) return;
    found.set(pid, { pid, startedTick: stat.startedTick, mark, command: oneLine(await read(`/proc/${pid}/cmdline`)) });
    await each(await childrenOf(pid), (child) => visit(child, mark));
  };
  await each(await adopted(), (pid) => visit(pid));
  return [...found.values()];
}

/** Children of all whom orphans may have come to: the init process, an ancestor that takes them in, this process itself. */
async function adopted(): Promise<number[]> {
  const adopters = new Set([1]);
  for (let pid = process.pid; pid > 1 && adopters.size < MOST_PARENTS;) {
    adopters.add(pid);
    pid = (await statOf(pid))?.parent ?? 0;
  }
  // The kernel may have no such lists, and the init process may be hidden from us.
  const isTold = await Promise.all([1, process.pid].map((pid) => promises.access(childList(pid, pid)).then(() => true, () => false)));
  if (isTold.includes(false)) return (await promises.readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  return (await Promise.all([...adopters].map(childrenOf))).flat();
}

const childList = (pid: number, thread: number | string): string => `/proc/${pid}/task/${thread}/children`;

/** What each of its threads has started; nothing where it is gone: then that has another parent, and is found at the next look. */
async function childrenOf(pid: number): Promise<number[]> {
  const threads = await promises.readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await Promise.all(threads.map((thread) => read(childList(pid, thread))));
  return lists.flatMap((list) => list.split(' ').filter(Boolean).map(Number));
}

interface Stat {
  runs: boolean;
  parent: number;
  session: string;
  startedTick: number;
}

async function statOf(pid: number): Promise<Stat | null> {
  const text = await read(`/proc/${pid}/stat`);
  if (text === '') return null;
  // The name, in brackets, may hold blanks and brackets itself.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state = '', parent, , session = ''] = fields;
  return { runs: state !== 'Z' && state !== 'X', parent: Number(parent), session, startedTick: Number(fields[19]) };
}

/** Empty where it cannot be read: it is gone, or another user's. */
const read = (file: string): Promise<string> => promises.readFile(file, 'latin1').catch(() => '');

async function each<T>(all: readonly T[], visit: (one: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < all.length; at += TOGETHER) await Promise.all(all.slice(at, at + TOGETHER).map(visit));
}

function valueIn(environment: string, separator: string, variable: string): string | undefined {
  const entry = environment.split(separator).find((one) => one.startsWith(`${variable}=`));
  return entry?.slice(variable.length + 1);
}

const oneLine = (command: string): string => {
  // What a process calls itself must not write into a terminal, nor begin a line of its own.
  const text = command.replace(/[\0-\x1f\x7f-\x9f]+/g, ' ').trim();
  return text.length > LONGEST_COMMAND ? `${text.slice(0, LONGEST_COMMAND)}...` : text;
};

async function fromPs(variable: string, wanted: (value: string) => boolean): Promise<MarkedProcess[]> {
  try {
    const columns = ['-axwwE', '-o', 'pid=,ppid=,pgid=,command='];
    const { stdout } = await promisify(execFile)('ps', columns, { timeout: 2_000, maxBuffer: 2 ** 26 });
    return inTable(stdout, process.pid, variable, wanted);
  } catch {
    return [];
  }
}

/**
 * The same out of what `ps` prints: number, parent, group, then the command line with the environment behind it. The process
 * group stands for the session, as ps of macOS does not tell that one.
 */
export function inTable(table: string, own: number, variable: string, wanted: (value: string) => boolean): MarkedProcess[] {
  const rows = table.split('\n').flatMap((line) => {
    const [, pid, parent, group, rest = ''] = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return pid === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), group, rest, mark: valueIn(rest, ' ', variable) }];
  });
  const group = rows.find(({ pid }) => pid === own)?.group;
  const found = new Map<number, MarkedProcess>();
  const take = (row: (typeof rows)[number], mark: string): void => {
    if (row.pid === own || row.group !== group || found.has(row.pid)) return;
    const [command = ''] = row.rest.split(/ [A-Za-z_]\w*=/, 1);
    found.set(row.pid, { pid: row.pid, startedTick: null, mark, command: oneLine(command) });
    for (const child of rows) if (child.parent === row.pid) take(child, mark);
  };
  for (const row of rows) if (row.mark !== undefined && wanted(row.mark)) take(row, row.mark);
  return [...found.values()];
}

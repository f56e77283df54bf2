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

/** Is asked with the value of the variable and the process; where it says no, what that has started is passed over as well. */
export type Wanted = (value: string, pid: number) => boolean;

/** Files that are open together: reads share four threads anyway, and more of them would take descriptors that others need just then. */
const TOGETHER = 8;
/** A chain of parents is never this long. */
const MOST_PARENTS = 100;
const LONGEST_COMMAND = 100;

/**
 * Finds orphans that have a variable of this name in the environment that they were started with, and what these have started
 * themselves, all in the session of this process: one that has a session of its own is to stay.
 *
 * Who has lost its parent belongs to an ancestor of this process, so these are asked for their children and not the whole
 * machine: some hundred small reads where thousands of processes run, and none that blocks. Without /proc `ps` is asked.
 */
export async function markedOrphans(variable: string, wanted: Wanted): Promise<MarkedProcess[]> {
  if (process.platform === 'win32') return [];
  const own = await statOf(process.pid);
  return own ? fromProc(variable, wanted, own.session) : fromPs(variable, wanted);
}

async function fromProc(variable: string, wanted: Wanted, session: string): Promise<MarkedProcess[]> {
  const found = new Map<number, MarkedProcess>();
  const visit = async (pid: number, inherited?: string): Promise<void> => {
    if (pid === process.pid || found.has(pid)) return;
    const stat = await statOf(pid);
    if (!stat?.runs || stat.session !== session) return;
    const mark = inherited ?? valueIn(await read(`/proc/${pid}/environ`), '\0', variable);
    if (mark === undefined || !wanted(mark, pid)) return;
    // Where there are no lists of children, one that is passed over does not hide its own.
    if (inherited === undefined && !await allAbove(stat.parent, (above) => wanted(mark, above))) return;
    found.set(pid, { pid, startedTick: stat.startedTick, mark, command: oneLine(await read(`/proc/${pid}/cmdline`)) });
    await fewAtOnce(await childrenOf(pid), (child) => visit(child, mark));
  };
  await fewAtOnce(await adopted(), (pid) => visit(pid));
  return [...found.values()];
}

async function allAbove(pid: number, isSo: (pid: number) => boolean): Promise<boolean> {
  for (let above = pid, n = 0; above > 1 && n < MOST_PARENTS; n++) {
    if (!isSo(above)) return false;
    above = (await statOf(above))?.parent ?? 0;
  }
  return true;
}

/**
 * A process, its parent and so on, as long as they have a variable of this name that is `wanted`: who has called whom. Nothing
 * where the process has none.
 */
export async function markedCallers(pid: number, variable: string, wanted: Wanted): Promise<ProcessIdentity[]> {
  const row = await statOf(process.pid) ? readRow : await rowsFromPs();
  const found: ProcessIdentity[] = [];
  for (let at = pid; at > 1 && found.length < MOST_PARENTS;) {
    const one = await row(at, variable);
    if (one?.mark === undefined || !wanted(one.mark, at)) break;
    found.push({ pid: at, startedTick: one.startedTick });
    at = one.parent;
  }
  return found;
}

interface Row {
  parent: number;
  startedTick: number | null;
  mark: string | undefined;
}

async function readRow(pid: number, variable: string): Promise<Row | undefined> {
  const stat = await statOf(pid);
  return stat ? { ...stat, mark: valueIn(await read(`/proc/${pid}/environ`), '\0', variable) } : undefined;
}

async function rowsFromPs(): Promise<(pid: number, variable: string) => Row | undefined> {
  const rows = (await psTable()).split('\n').map(rowOf);
  return (pid, variable) => {
    const row = rows.find((one) => one?.pid === pid);
    return row && { parent: row.parent, startedTick: null, mark: valueIn(row.rest, ' ', variable) };
  };
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
  const all: number[] = [];
  for (const pid of adopters) all.push(...await childrenOf(pid));
  return all;
}

const childList = (pid: number, thread: number | string): string => `/proc/${pid}/task/${thread}/children`;

/** What each of its threads has started; nothing where it is gone: then that has another parent, and is found at the next look. */
async function childrenOf(pid: number): Promise<number[]> {
  const threads = await promises.readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await fewAtOnce(threads, (thread) => read(childList(pid, thread)));
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

/** Visits each, few at once; resolves with what they gave, in order. */
async function fewAtOnce<One, Given>(all: readonly One[], visit: (one: One) => Promise<Given>): Promise<Given[]> {
  const given: Given[] = [];
  for (let at = 0; at < all.length; at += TOGETHER) given.push(...await Promise.all(all.slice(at, at + TOGETHER).map(visit)));
  return given;
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

const fromPs = async (variable: string, wanted: Wanted): Promise<MarkedProcess[]> =>
  inTable(await psTable(), process.pid, variable, wanted);

async function psTable(): Promise<string> {
  try {
    const columns = ['-axwwE', '-o', 'pid=,ppid=,pgid=,command='];
    return (await promisify(execFile)('ps', columns, { timeout: 2_000, maxBuffer: 2 ** 26 })).stdout;
  } catch {
    return '';
  }
}

function rowOf(line: string): { pid: number; parent: number; group: string; rest: string } | undefined {
  const [, pid, parent, group = '', rest = ''] = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
  return pid === undefined ? undefined : { pid: Number(pid), parent: Number(parent), group, rest };
}

/**
 * The same out of what `ps` prints: number, parent, group, then the command line with the environment behind it. The process
 * group stands for the session, as ps of macOS does not tell that one.
 */
export function inTable(table: string, own: number, variable: string, wanted: Wanted): MarkedProcess[] {
  const rows = table.split('\n').flatMap((line) => {
    const row = rowOf(line);
    return row ? [{ ...row, mark: valueIn(row.rest, ' ', variable) }] : [];
  });
  const group = rows.find(({ pid }) => pid === own)?.group;
  const found = new Map<number, MarkedProcess>();
  const take = (row: (typeof rows)[number], mark: string): void => {
    if (row.pid === own || row.group !== group || found.has(row.pid) || !wanted(mark, row.pid)) return;
    const [command = ''] = row.rest.split(/ [A-Za-z_]\w*=/, 1);
    found.set(row.pid, { pid: row.pid, startedTick: null, mark, command: oneLine(command) });
    for (const child of rows) if (child.parent === row.pid) take(child, mark);
  };
  const byPid = new Map(rows.map((row) => [row.pid, row]));
  const allAboveOf = (row: (typeof rows)[number], mark: string): boolean => {
    let above = byPid.get(row.parent);
    for (let n = 0; above && above.pid > 1 && n < MOST_PARENTS; n++, above = byPid.get(above.parent)) {
      if (!wanted(mark, above.pid)) return false;
    }
    return true;
  };
  for (const row of rows) if (row.mark !== undefined && wanted(row.mark, row.pid) && allAboveOf(row, row.mark)) take(row, row.mark);
  return [...found.values()];
}

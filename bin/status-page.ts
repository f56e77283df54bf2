import type { AdaptiveStatus, ChildStatus, DuckStatus, OverloadStatus, ReloadResult, StandbyStatus, Status } from '../lib/api/control.js';
import type { LastExit } from '../lib/api/child.js';
import { style, type Style } from './output.js';
import { knowWidths, table, width, wrapped } from './table.js';

const STATE_STYLES: Readonly<Record<string, Style>> = {
  running: 'green', ready: 'green', reloading: 'cyan', starting: 'cyan', booting: 'cyan', forked: 'cyan',
  degraded: 'yellow', draining: 'yellow', closing: 'yellow', waiting: 'yellow', killing: 'red', exited: 'red',
};

/** A reason that needs no line. */
const AS_CONFIGURED = 'as configured';

/** As a master of another version tells it: it may know less. */
export type ToldStatus = Partial<Status> & Pick<Status, 'title' | 'state' | 'version' | 'startedAt' | 'master' | 'workers'>;

interface Column {
  head: string;
  cell(child: ChildStatus, now: number): string;
  /** Leans to the right. */
  number?: boolean;
  /** Only where there is much room. */
  wide?: boolean;
  /** Where there is little, it stands in a sentence. */
  said?: (cell: string) => string;
}

/** Marks the app of `--workers 0`. */
const APP = 'app';
const PROCESS: Column = { head: 'process', cell: nameOf };
/** What is told of a process, the most important first where a sentence is made of it. */
const COLUMNS: readonly Column[] = [
  PROCESS,
  { head: 'pid', cell: ({ pid }) => told(pid, String), number: true, said: (cell) => `pid ${cell}` },
  { head: 'state', cell: ({ state }) => colored(state) },
  { head: 'gen', cell: ({ generation }) => told(generation, String), number: true, wide: true },
  { head: 'up', cell: ({ startedAt }, now) => startedAt === null ? '-' : age(startedAt, now), number: true, said: (cell) => `up ${cell}` },
  { head: 'restarts', cell: ({ restarts }) => told(restarts, String), number: true, said: (cell) => `restarts ${cell}` },
  { head: 'rss', cell: ({ rss }) => sized(rss), number: true, said: (cell) => `rss ${cell}` },
  { head: 'cpu', cell: ({ cpu }) => told(cpu, (share) => `${Math.round(share * 100)}%`), number: true, said: (cell) => `cpu ${cell}` },
  { head: 'loop delay', cell: ({ eventLoopDelay }) => told(eventLoopDelay, (delay) => `${delay.toFixed(1)}ms`), number: true, wide: true },
  {
    head: 'req/s', cell: ({ requestsPerSecond }) => told(requestsPerSecond, (rate) => rate.toFixed(1)), number: true,
    said: (cell) => `${cell} req/s`,
  },
  { head: 'conns', cell: ({ connections }) => told(connections, String), number: true, wide: true },
  { head: 'last exit', cell: ({ lastExit }, now) => exitOf(lastExit, now), wide: true },
];

/** `status` for a person, in the widest of three layouts that fits. What no sample, or no old master, has told is a dash. */
export async function statusPage(status: ToldStatus, now = Date.now(), columns = Infinity): Promise<string> {
  const { agent, app, workers } = status;
  const children = [...(agent ? [agent] : []), ...workers, ...(app ? [{ ...app, [APP]: true }] : [])];
  const { head, notes } = { head: headOf(status, now), notes: notesOf(status, now) };
  await knowWidths([...head, ...notes]);
  const { rows, exits } = await processes(children, now, columns);
  const below = [...exits, ...notes].map((line) => wrapped(line, columns));
  return [...head.map((line) => wrapped(line, columns)), '', rows, ...(below.length > 0 ? ['', ...below] : [])].join('\n');
}

/** A table with everything; one without what is read now and then; or sentences. */
async function processes(children: readonly ChildStatus[], now: number, columns: number): Promise<{ rows: string; exits: string[] }> {
  const whole = await tableOf(COLUMNS, children, now);
  if (fits(whole, columns)) return { rows: whole, exits: [] };
  const exits = children.flatMap((child) => child.lastExit && child.state !== 'waiting'
    ? [`last exit of ${nameOf(child)}: ${exitOf(child.lastExit, now)}`] : []);
  const short = await tableOf(COLUMNS.filter(({ wide }) => !wide), children, now);
  if (fits(short, columns)) return { rows: short, exits: [...new Set(exits)] };
  return { rows: children.map((child) => wrapped(sentence(child, now), columns)).join('\n'), exits: [...new Set(exits)] };
}

const fits = (text: string, columns: number): boolean => text.split('\n').every((line) => width(line) <= columns);

const tableOf = (shown: readonly Column[], children: readonly ChildStatus[], now: number): Promise<string> => table(
  shown.map(({ head }) => head),
  children.map((child) => child.state === 'waiting' ? [nameOf(child), waitingOf(child)] : shown.map(({ cell }) => cell(child, now))),
  { right: shown.flatMap(({ number }, index) => number ? [index] : []) },
);

function sentence(child: ChildStatus, now: number): string {
  if (child.state === 'waiting') return `${nameOf(child)}  ${waitingOf(child)}`;
  const facts = COLUMNS.flatMap(({ cell, said }) => {
    const text = said && cell(child, now);
    return said && text !== undefined && text !== '-' ? [said(text)] : [];
  });
  return `${nameOf(child)}  ${[colored(child.state), ...facts].join(', ')}`;
}

function nameOf({ slot, [APP]: isApp }: ChildStatus): string {
  if (isApp) return APP;
  return slot < 0 ? 'agent' : `worker#${slot}`;
}

/** `waiting 3.2 s, 6 ends in a row, last: exit 3, 50 ms after ready`. */
function waitingOf({ forkIn, endsInRow = 0, lastExit }: ChildStatus): string {
  const when = forkIn === undefined || forkIn === null ? ' until it is filled' : forkIn > 0 ? ` ${(forkIn / 1_000).toFixed(1)} s` : '';
  return [
    `${colored('waiting')}${when}`,
    ...(endsInRow > 0 ? [`${endsInRow} end${endsInRow === 1 ? '' : 's'} in a row`] : []),
    ...(lastExit ? [`last: ${endOf(lastExit)}`] : []),
  ].join(', ');
}

/** Where it has listened for a while, when it ended says more than for how long it has lived. */
function endOf({ cause, code, signal, uptime, afterReady }: LastExit): string {
  const how = signal ?? `exit ${code}`;
  const when = afterReady === undefined ? `${duration(uptime)} after its fork, never ready` : `${duration(afterReady)} after ready`;
  return [...(cause === 'crash' || cause === 'requested' ? [] : [cause]), how, when].join(', ');
}

function headOf(status: ToldStatus, now: number): string[] {
  const { title, state, address, addresses = [], balance, version, node = '-', startedAt, master } = status;
  const [, ...others] = addresses;
  const also = others.length > 0 ? `, also ${others.join(', ')}` : '';
  const balanced = balance === undefined || status.app ? '' : `, balance ${balance}`;
  return [
    `${style(title, 'bold')}  ${colored(state)}  ${address ?? (state === 'starting' ? 'no address yet' : 'no address')}${also}`,
    `master pid ${master.pid}, up ${age(startedAt, now)}, rss ${sized(master.rss)}, hatchery ${version}, node ${node}${balanced}`,
  ];
}

function notesOf(status: ToldStatus, now: number): string[] {
  const { container, agent, workers, ducks = [], standby = [], slowPaths = [], cut = 0, faults = 0, lastReload } = status;
  const { balance, balanceWhy = AS_CONFIGURED, adaptive, overload } = status;
  return [
    // Two processes of a slot have their predecessor in common.
    ...new Set([agent, ...workers].flatMap((child) => child ? lastError(child) : [])),
    ...[agent, ...workers].flatMap((child) => child?.steps?.map(({ name, age: since }) =>
      `${nameOf(child)} waits for ${name}: ${duration(since)}`) ?? []),
    ...(balanceWhy.startsWith(AS_CONFIGURED) ? [] : [`balance ${balance}: ${balanceWhy}`]),
    ...(adaptive ? [followed(adaptive, now)] : []),
    ...(overload ? refused(overload, workers.length) : []),
    ...slowPaths.map((what) => `slow path: ${what}`),
    ...ducks.map((duck) => duckOf(duck, now)),
    ...standby.map((one) => standbyOf(one, now)),
    ...contained(container),
    ...(cut > 0 ? [`requests cut as workers ended: ${cut}`] : []),
    ...(faults > 0 ? [`faults in the master: ${faults}; the log tells each, nothing more came of them`] : []),
    ...(lastReload ? [reloaded(lastReload, now)] : []),
  ];
}

function duckOf({ pid, slot, generation, streams, until }: DuckStatus, now: number): string {
  const left = Math.max(0, Date.parse(until) - now);
  return `duck pid ${pid} (was worker#${slot}, generation ${generation}) finishes ${streams} stream${streams === 1 ? '' : 's'}, `
    + `for ${duration(left)} at most`;
}

function standbyOf({ pid, slot, state, generation, startedAt, rss }: StandbyStatus, now: number): string {
  const whose = slot === null ? '' : ` for worker#${slot}`;
  return `standby pid ${pid}${whose}, ${colored(state)}, generation ${generation}, up ${age(startedAt, now)}, rss ${sized(rss)}`;
}

function followed({ min, max, scaled, lastMove, held }: AdaptiveStatus, now: number): string {
  const { from, to, why, at } = lastMove ?? {};
  const moved = at === undefined ? 'no change yet' : `${from} -> ${to} ${age(at, now)} ago: ${why}`;
  return `workers follow the load, ${min}${scaled ? ' (scaled)' : ''} to ${max}: ${moved}${held === null ? '' : `; not more now: ${held}`}`;
}

/** Nothing as long as nothing was shed. */
function refused({ over, slots, acceptor }: OverloadStatus, workers: number): string[] {
  const shed = slots.reduce((sum, { shed: { low, normal, high } }) => sum + low + normal + high, 0);
  if (over === 0 && shed === 0 && acceptor.shed === 0) return [];
  const now = over === 0 ? 'none is over its limit now' : `${over} of ${workers} workers ${over === 1 ? 'is' : 'are'} over the limit`;
  return [`overload: ${now}; ${shed} requests shed by workers, ${acceptor.shed} connections by the master`];
}

function lastError(child: ChildStatus): string[] {
  const { lastExit, slot } = child;
  return lastExit?.error ? [`last error of ${slot < 0 ? 'the agent' : nameOf(child)}: ${firstLine(lastExit.error)}`] : [];
}

function reloaded({ ok, at, reason, replaced, took, cut, error = '' }: ReloadResult, now: number): string {
  const lost = cut > 0 ? `, ${cut} requests cut` : '';
  const outcome = ok ? `${replaced} replaced in ${duration(took)}${lost}` : `aborted: ${firstLine(error)}`;
  return `last reload ${age(at, now)} ago (${reason}): ${outcome}`;
}

function contained(container: ToldStatus['container']): string[] {
  const { cpus = null, memory = null, heap = null } = container ?? {};
  const parts = [
    ...(cpus === null ? [] : [`${Number(cpus.toFixed(2))} processors`]),
    ...(memory === null ? [] : [`${bytes(memory.workingSet)} of ${bytes(memory.limit)} memory in use`]),
    ...(heap === null ? [] : [`heaps of ${bytes(heap)}`]),
  ];
  return parts.length > 0 ? [`container: ${parts.join(', ')}`] : [];
}

const firstLine = (text: string): string => text.split('\n', 1)[0] as string;

function exitOf(exit: LastExit | null, now: number): string {
  if (!exit) return '-';
  const how = exit.signal ?? `code ${exit.code}`;
  return `${exit.cut ? `${exit.cut} cut` : exit.cause} (${how}) ${age(exit.at, now)} ago`;
}

const colored = (state: string): string => {
  const name = STATE_STYLES[state];
  return name ? style(state, name) : state;
};

const bytes = (count: number): string => `${(count / 1024 / 1024).toFixed(count < 100 * 1024 * 1024 ? 1 : 0)}MB`;

const told = (value: unknown, text: (value: number) => string): string => typeof value === 'number' ? text(value) : '-';

const sized = (count: unknown): string => told(count, bytes);

const age = (since: string, now: number): string => duration(Math.max(0, now - Date.parse(since)));

const UNITS: readonly [string, number][] = [['d', 86_400_000], ['h', 3_600_000], ['m', 60_000], ['s', 1_000]];

/** `850ms`, `12s`, `3m 4s`, `2d 5h`: the two largest units. */
function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  const first = UNITS.findIndex(([, size]) => ms >= size);
  let rest = ms;
  return UNITS.slice(first, first + 2).flatMap(([name, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count > 0 ? [`${count}${name}`] : [];
  }).join(' ');
}

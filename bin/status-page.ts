import type { ChildStatus, ReloadResult, Status } from '../lib/api/control.js';
import { style, table, type Style } from './output.js';

const STATE_STYLES: Readonly<Record<string, Style>> = {
  running: 'green', ready: 'green', reloading: 'cyan', starting: 'cyan', booting: 'cyan', forked: 'cyan',
  degraded: 'yellow', draining: 'yellow', closing: 'yellow', killing: 'red', exited: 'red',
};

const HEAD = ['process', 'pid', 'state', 'gen', 'up', 'restarts', 'rss', 'cpu', 'loop delay', 'req/s', 'conns', 'last exit'];
const NUMBERS = [1, 3, 4, 5, 6, 7, 8, 9, 10];

/** As a master of another version tells it: it may know less. */
export type ToldStatus = Partial<Status> & Pick<Status, 'title' | 'state' | 'version' | 'startedAt' | 'master' | 'workers'>;

/** `status` for a person. What no sample has told yet is a dash, as is what the master is too old to tell. */
export function statusPage(status: ToldStatus, now = Date.now()): string {
  const { title, state, address, addresses = [], version, node = '-', startedAt, master, agent, workers, ducks = [], lastReload } = status;
  const { refork, slowPaths = [], cut = 0 } = status;
  const rss = sized(master.rss);
  const rows = workers.map((worker) => row(`worker#${worker.slot}`, worker, now));
  if (agent) rows.unshift(row('agent', agent, now));
  const lines = [
    `${style(title, 'bold')}  ${colored(state)}  ${address ?? (state === 'starting' ? 'no address yet' : 'no address')}${also(addresses)}`,
    `master pid ${master.pid}, up ${age(startedAt, now)}, rss ${rss}, hatchery ${version}, node ${node}`,
    '',
    table(HEAD, rows, NUMBERS),
  ];
  const notes = [
    ...Object.entries(refork?.delays ?? {}).map(([slot, delay]) => `worker#${slot} is forked again after a wait of ${duration(delay)}`),
    // Two processes of a slot have their predecessor in common.
    ...new Set([agent, ...workers].flatMap((child) => child ? lastError(child) : [])),
    ...slowPaths.map((what) => `slow path: ${what}`),
    ...ducks.map(({ pid, generation, streams, until }) =>
      `pid ${pid} (generation ${generation}) finishes ${streams} stream${streams === 1 ? '' : 's'}, until ${until.slice(11, 19)} UTC`),
    ...(cut > 0 ? [`requests cut as workers ended: ${cut}`] : []),
    ...(lastReload ? [reloaded(lastReload, now)] : []),
  ];
  return [...lines, ...(notes.length > 0 ? ['', ...notes] : [])].join('\n');
}

function lastError({ slot, lastExit }: ChildStatus): string[] {
  const who = slot < 0 ? 'the agent' : `worker#${slot}`;
  return lastExit?.error ? [`last error of ${who}: ${firstLine(lastExit.error)}`] : [];
}

function reloaded({ ok, at, reason, replaced, took, cut, error = '' }: ReloadResult, now: number): string {
  const lost = cut > 0 ? `, ${cut} requests cut` : '';
  const outcome = ok ? `${replaced} replaced in ${duration(took)}${lost}` : `aborted: ${firstLine(error)}`;
  return `last reload ${age(at, now)} ago (${reason}): ${outcome}`;
}

const firstLine = (text: string): string => text.split('\n', 1)[0] as string;

function row(name: string, child: ChildStatus, now: number): string[] {
  const { requestsPerSecond, connections } = child;
  return [
    name,
    String(child.pid),
    colored(child.state),
    String(child.generation),
    age(child.startedAt, now),
    String(child.restarts),
    sized(child.rss),
    numbered(child.cpu, (cpu) => `${Math.round(cpu * 100)}%`),
    numbered(child.eventLoopDelay, (delay) => `${delay.toFixed(1)}ms`),
    numbered(requestsPerSecond, (rate) => rate.toFixed(1)),
    numbered(connections, String),
    lastExit(child.lastExit, now),
  ];
}

function lastExit(exit: ChildStatus['lastExit'], now: number): string {
  if (!exit) return '-';
  const how = exit.signal ?? `code ${exit.code}`;
  return `${exit.cut ? `${exit.cut} cut` : exit.cause} (${how}) ${age(exit.at, now)} ago`;
}

const colored = (state: string): string => {
  const name = STATE_STYLES[state];
  return name ? style(state, name) : state;
};

const bytes = (count: number): string => `${(count / 1024 / 1024).toFixed(count < 100 * 1024 * 1024 ? 1 : 0)}MB`;

const numbered = (value: unknown, text: (value: number) => string): string => typeof value === 'number' ? text(value) : '-';

const sized = (count: unknown): string => numbered(count, bytes);

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

/** What is served beside the address; a master of an older version does not tell. */
const also = ([, ...others]: readonly string[]): string => others.length > 0 ? `, also ${others.join(', ')}` : '';

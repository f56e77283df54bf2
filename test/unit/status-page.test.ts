import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusPage, type ToldStatus } from '../../bin/status-page.js';
import { table } from '../../bin/table.js';
import type { AdaptiveStatus, ChildStatus, Status } from '../../lib/api/control.js';

const at = new Date(0).toISOString();
const child = (id: number, state: ChildStatus['state']): ChildStatus => ({
  id, slot: 0, pid: id, state, generation: 1, startedAt: at, restarts: 1, rss: null, cpu: null, eventLoopDelay: null,
  eventLoopUtilization: null,
  lastExit: { cause: 'crash', code: 1, signal: null, uptime: 5, pid: 9, at, error: 'oh no\nsecond line' },
});

test('an error that two processes of a slot have before them is told once', async () => {
  const status: Status = {
    title: 'app', state: 'reloading', address: null,
    addresses: [], balance: 'os', balanceWhy: 'as configured', version: '1.0.0', node: '20.0.0', startedAt: at, master: { pid: 1, rss: 0 },
    agent: null,
    workers: [child(2, 'ready'), child(3, 'draining')], refork: { inWindow: 0, limit: 60, delays: {} }, lastReload: null,
    cut: 0, faults: 0, ducks: [], standby: [], slowPaths: [],
  };
  assert.equal((await statusPage(status)).match(/last error of worker#0: oh no$/gm)?.length, 1);
});

test('a master of an older version tells less, and each of it may be missing', async () => {
  const worker = { id: 1, slot: 0, pid: 7, state: 'ready', generation: 1, startedAt: at, restarts: 0 };
  const status = { title: 'app', state: 'running', version: '0.1.0', startedAt: at, master: { pid: 1 }, workers: [worker] };
  const page = await statusPage(status as unknown as ToldStatus);
  assert.match(page, /^app  running  no address\nmaster pid 1, up .*, rss -, hatchery 0\.1\.0, node -\n/);
  assert.match(page, /worker#0 +7 +ready +1 +\S.* 0 +- +- +- +- +- +-$/m);
  assert.doesNotMatch(page, /undefined|NaN/);
});

const long = {
  title: 'app', state: 'degraded', address: 'http://127.0.0.1:7001', addresses: ['http://127.0.0.1:7001', 'tcp://[::1]:9001', 'unix:/run/a'],
  balance: 'os', balanceWhy: 'as configured', version: '1.0.0', node: '20.0.0', startedAt: at, agent: null,
  master: { pid: 1, rss: 60_000_000 },
  workers: [
    { ...child(2, 'ready'), rss: 50_000_000, cpu: 0.5, eventLoopDelay: 1.5, requestsPerSecond: 12, connections: 3 },
    {
      ...child(0, 'ready'), id: null, pid: null, state: 'waiting', generation: null, startedAt: null, slot: 1, forkIn: 3_200, endsInRow: 6,
      lastExit: { cause: 'crash', code: 3, signal: null, uptime: 800, afterReady: 50, pid: 9, at },
    },
  ],
  ducks: [{ pid: 77, slot: 0, generation: 1, streams: 2, oldest: 500, until: new Date(90_000).toISOString() }],
  refork: { inWindow: 6, limit: 60, delays: { 1: 3_200 } }, lastReload: null, cut: 0, faults: 3, slowPaths: [],
} as const satisfies ToldStatus as unknown as ToldStatus;

test('a slot that waits has its row: when it is forked, how many have ended, and how the last one did', async () => {
  const row = /^worker#1 +waiting 3\.2 s, 6 ends in a row, last: exit 3, 50ms after ready$/m;
  for (const columns of [200, 100]) assert.match(await statusPage(long, 30_000, columns), row);
  const narrow = (await statusPage(long, 30_000, 40)).replaceAll(/\s+/g, ' ');
  assert.match(narrow, /worker#1 waiting 3\.2 s, 6 ends in a row, last: exit 3, 50ms after ready/);
});

test('all addresses, the balance, ducks and faults are told', async () => {
  const page = await statusPage(long, 30_000);
  assert.match(page, /^app {2}degraded {2}http:\/\/127\.0\.0\.1:7001, also tcp:\/\/\[::1\]:9001, unix:\/run\/a$/m);
  assert.match(page, /, balance os$/m);
  assert.match(page, /^duck pid 77 \(was worker#0, generation 1\) finishes 2 streams, for 1m at most$/m);
  assert.match(page, /^faults in the master: 3;/m);
});

test('why the number of workers has changed, and what keeps it from changing', async () => {
  const adaptive = { min: 2, max: 8, quiet: 60_000, scaled: false, lastMove: null, held: null, moves: [], holds: [] };
  const lineOf = async (change: Partial<AdaptiveStatus>) =>
    /^workers follow.*$/m.exec(await statusPage({ ...long, adaptive: { ...adaptive, ...change } }, 30_000))?.[0];
  assert.equal(await lineOf({}), 'workers follow the load, 2 to 8: no change yet');
  const lastMove = { from: 2, to: 3, cause: 'connection', why: 'a connection waited 48 ms for a worker', at } as const;
  assert.equal(await lineOf({ scaled: true, lastMove, held: 'no room' }),
    'workers follow the load, 2 (scaled) to 8: 2 -> 3 30s ago: a connection waited 48 ms for a worker; not more now: no room');
});

test('what is shed, and how many workers are over their limits; nothing as long as nothing was', async () => {
  const acceptor = { shed: 0, passed: 0, silent: 0, full: 0, gone: 0 };
  const lineOf = async (over: number, normal: number, shed: number) => {
    const overload = { over, slots: [{ slot: 0, shed: { low: 1, normal, high: 0 } }], picks: 0, acceptor: { ...acceptor, shed } };
    return /^overload.*$/m.exec(await statusPage({ ...long, overload: normal === 0 ? { ...overload, slots: [] } : overload }, 30_000))?.[0];
  };
  assert.equal(await lineOf(0, 0, 0), undefined);
  assert.equal(await lineOf(1, 4, 7),
    `overload: 1 of ${long.workers.length} workers is over the limit; 5 requests shed by workers, 7 connections by the master`);
  assert.match((await lineOf(0, 4, 7))!, /^overload: none is over its limit now; 5 /);
});

test('three layouts: a table with everything, a shorter one, sentences; none is wider than the terminal', async () => {
  const heads = new Map([
    [160, /gen .*loop delay .*last exit/], [80, /process +pid +state +up +restarts +rss +cpu +req\/s$/m],
    [40, /^worker#0 {2}ready, pid 2/m],
  ]);
  for (const [columns, head] of heads) {
    const page = await statusPage(long, 30_000, columns);
    assert.match(page, head);
    for (const line of page.split('\n')) assert.ok(line.length <= columns, `${columns}: ${line}`);
    assert.match(page.replaceAll(/\n */g, ' '), /crash \(code 1\) 30s ago/);
  }
});

test('characters that take two columns are counted so', async () => {
  const rows = [['\u65e5\u672c\u8a9e', '1', 'x'], ['ascii!', '\uc560\ud50c', 'y'], ['\ud83d\ude00', 'b', 'z']];
  const [, ...lines] = (await table(['key', 'value', 'from'], rows)).split('\n');
  assert.deepEqual(lines, ['\u65e5\u672c\u8a9e  1      x', 'ascii!  \uc560\ud50c   y', '\ud83d\ude00      b      z']);
});

test('what a container leaves is told where it leaves less than all', async () => {
  const page = (container: Status['container']): Promise<string> => statusPage({
    title: 'app', state: 'running', version: '1.0.0', startedAt: at, master: { pid: 1, rss: 0 }, workers: [], container,
  });
  assert.doesNotMatch(await page({ cpus: null, memory: null, heap: null }), /container/);
  const memory = { limit: 512 * 2 ** 20, workingSet: 150 * 2 ** 20 };
  assert.match(await page({ cpus: 1.5, memory, heap: 110 * 2 ** 20 }),
    /^container: 1\.5 processors, 150MB of 512MB memory in use, heaps of 110MB$/m);
});

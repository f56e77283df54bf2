import assert from 'node:assert/strict';
import { before, after, test } from 'node:test';
import type { Hosts } from '../../plugins/hosts/messages.js';
import { eventually } from '../helpers/eventually.js';
import { argumentsOf, noRedis, startHost, TestRedis, type Host } from '../helpers/hosts.js';

const cleanups: (() => unknown)[] = [];
const scope = { after: (fn: () => unknown) => cleanups.unshift(fn) };
let redis: TestRedis;
let a: Host;
let b: Host;

before(async () => {
  if (noRedis) return;
  redis = await TestRedis.start(scope, { password: 'quiet please' });
  const url = `redis://:quiet%20please@127.0.0.1:${redis.port}`;
  [a, b] = await Promise.all([
    startHost(scope, { name: 'a', url }),
    startHost(scope, { name: 'b', url, config: { agent: true } }),
  ]);
});
after(async () => {
  for (const cleanup of cleanups) await cleanup();
});

test('a broadcast reaches each process of each host once, with one id, and says where it comes from', { skip: noRedis }, async () => {
  await a.on(1, 'tell', { n: 1 });
  const all = [[a, 0], [a, 1], [b, 0], [b, 1]] as const;
  for (const [host, slot] of all) await eventually(async () => (await host.heard(slot)).length > 0);
  const heard = await Promise.all(all.map(([host, slot]) => host.heard(slot)));
  assert.deepEqual(heard.map((list) => list.map(({ data, host, trace }) => ({ data, host, trace }))), [
    [{ data: { n: 1 }, host: undefined, trace: 't1' }], [{ data: { n: 1 }, host: undefined, trace: 't1' }],
    [{ data: { n: 1 }, host: 'a', trace: 't1' }], [{ data: { n: 1 }, host: 'a', trace: 't1' }],
  ]);
  assert.equal(new Set(heard.flat().map(({ id }) => id)).size, 1);
});

test('what one process says comes in its order, and once, while hosts reload', { skip: noRedis }, async () => {
  const reloads = Promise.all([a.cluster.run('reload'), b.cluster.run('reload')]);
  let over = false;
  void reloads.finally(() => { over = true; });
  let told = 0;
  while (!over || told < 200) await a.on(0, 'tell', { count: told++ });
  assert.deepEqual((await reloads).map(({ code }) => code), [0, 0]);
  const last = told - 1;
  await eventually(async () => (await b.heard(1)).some(({ data }) => (data as { count?: number }).count === last));
  for (const slot of [0, 1]) {
    const heard = await b.heard(slot);
    const counts = heard.flatMap(({ data }) => (data as { count?: number }).count ?? []);
    assert.deepEqual(counts, [...new Set(counts)].sort((x, y) => x - y), `worker ${slot}`);
    // From the first one on that it has heard, all.
    assert.equal(counts.length, last - counts[0]! + 1);
  }
});

test('nothing is lost or doubled where the process dies that reads for its host', { skip: noRedis }, async () => {
  const [x, y] = ['before', 'after'].map((when) => Array.from({ length: 20 }, (_, n) => `${when} ${n}`));
  for (const text of x!) await a.on(0, 'tell', text);
  const { agent } = await b.cluster.status();
  process.kill(agent!.pid, 'SIGKILL');
  for (const text of y!) await a.on(0, 'tell', text);
  for (const slot of [0, 1]) {
    await eventually(async () => (await b.heard(slot)).at(-1)?.data === 'after 19');
    const heard = (await b.heard(slot)).map(({ data }) => data).filter((data) => typeof data === 'string');
    assert.deepEqual(heard, [...x!, ...y!], `worker ${slot}`);
  }
  await eventually(async () => (await b.cluster.status()).agent?.state === 'ready');
});

test('one process of each instance is connected to Redis, by two connections', { skip: noRedis }, async () => {
  await eventually(() => redis.ask('CLIENT', 'LIST').split('\n').filter((line) => !line.includes('cmd=client|list')).length === 4);
});

test('each instance knows of all others', { skip: noRedis }, async () => {
  const list = async () => JSON.parse((await b.cluster.run('status', ['--all', '--json'])).stdout) as Hosts;
  // As it was told last: an agent of b has died before this.
  await eventually(async () => (await list()).instances.length === 2);
  const { instances, leases, unreachable } = await list();
  assert.deepEqual(instances.map(({ host, pid, title }) => ({ host, pid, title })).sort((x, y) => x.host < y.host ? -1 : 1), [
    { host: 'a', pid: a.cluster.pid, title: a.cluster.title }, { host: 'b', pid: b.cluster.pid, title: b.cluster.title },
  ]);
  assert.ok(instances.every(({ workers: { ready, all }, seen }) => ready === 2 && all === 2 && seen < 10_000));
  assert.deepEqual([leases, unreachable], [[], null]);
});

test('the password stands in no argument and no line of the log', { skip: noRedis }, () => {
  for (const { cluster } of [a, b]) assert.doesNotMatch(argumentsOf(cluster) + cluster.output, /quiet/);
});

test('an instance that stops is no longer among the others', { skip: noRedis }, async () => {
  assert.equal((await a.cluster.stop()).code, 0);
  await a.cluster.assertNothingLeft();
  const { stdout } = await b.cluster.run('status', ['--all']);
  assert.match(stdout, new RegExp(`^b +${b.cluster.title}`, 'm'));
  assert.doesNotMatch(stdout, new RegExp(`^a +${a.cluster.title}`, 'm'));
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Hosts } from '../../plugins/hosts/messages.js';
import { eventually } from '../helpers/eventually.js';
import { FencedStore, noRedis, startHost, TestRedis, Way, type Host } from '../helpers/hosts.js';
import { Load } from '../helpers/load.js';

/** Of a lease, ms. */
const TTL = 1_500;

const cleanups: (() => unknown)[] = [];
const scope = { after: (fn: () => unknown) => cleanups.unshift(fn) };
let redis: TestRedis;
let store: FencedStore;
let hosts: { host: Host; way: Way }[];
let loads: Load[];

before(async () => {
  if (noRedis) return;
  redis = await TestRedis.start(scope);
  store = await FencedStore.open(scope);
  hosts = await Promise.all(['a', 'b'].map(async (name) => {
    const way = await Way.open(scope, redis.port);
    const url = `redis://127.0.0.1:${way.port}`;
    return { way, host: await startHost(scope, { name, url, ttl: TTL, env: { LEAD: 'job', STORE: store.socket } }) };
  }));
});
after(async () => {
  for (const cleanup of cleanups) await cleanup();
});

/** Who leads now: it has written since this was asked. */
async function leader(): Promise<{ pid: number; token: number; at: number }> {
  const before = store.all.length;
  await eventually(() => store.all.length > before, 20_000);
  const { pid, token } = store.all.at(-1)!;
  return { pid, token, at: hosts.findIndex(({ host }) => host.cluster.processes().some((one) => one.pid === pid)) };
}

/** Waits until somebody leads with another token, and looks that no two have led at one time. */
async function successorOf(token: number): Promise<{ pid: number; token: number; at: number }> {
  await eventually(() => store.all.at(-1)!.token !== token, 20_000);
  const next = await leader();
  assert.ok(next.token > token);
  store.assertOneAtATime();
  return next;
}

test('one process of all hosts leads, which status tells', { skip: noRedis }, async () => {
  const { pid, token, at } = await leader();
  const { stdout } = await hosts[1 - at]!.host.cluster.run('status', ['--all', '--json']);
  const { leases, instances } = JSON.parse(stdout) as Hosts;
  assert.deepEqual(leases.map((lease) => ({ name: lease.name, pid: lease.pid, token: lease.token })), [{ name: 'job', pid, token }]);
  assert.equal(instances.find(({ id }) => id === leases[0]!.instance)?.pid, hosts[at]!.host.cluster.pid);
  await delay(2 * TTL);
  assert.deepEqual(await leader().then((one) => one.token), token, 'it is renewed');
});

test('one that is stopped has lost its lease when it goes on, before it could write', { skip: noRedis }, async () => {
  const { pid, token } = await leader();
  process.kill(pid, 'SIGSTOP');
  let next;
  try {
    next = await successorOf(token);
    assert.notEqual(next.pid, pid);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await delay(TTL);
  assert.equal((await leader()).token, next.token);
  store.assertOneAtATime();
  // What was on its way as it was stopped.
  assert.ok(store.refused <= 1, `${store.refused} refused`);
});

test('where it dies the next one leads once its time is over', { skip: noRedis }, async () => {
  const { pid, token } = await leader();
  process.kill(pid, 'SIGKILL');
  await successorOf(token);
});

test('(from here on somebody asks both sites, all the time)', { skip: noRedis }, () => {
  loads = hosts.map(({ host: { cluster } }) =>
    new Load({ keepAlive: 2, perConnection: 2 }, { http: { port: cluster.port }, pause: 5 }, scope));
});

test('a host that is cut off from Redis leads no more, and another one does', { skip: noRedis }, async () => {
  const { token, at } = await leader();
  hosts[at]!.way.cut();
  try {
    assert.equal((await successorOf(token)).at, 1 - at);
    const { stdout } = await hosts[at]!.host.cluster.run('status', ['--all', '--json']);
    const { instances, unreachable } = JSON.parse(stdout) as Hosts;
    assert.equal(instances.length, 1);
    assert.match(String(unreachable), /^Redis cannot be reached/);
  } finally {
    hosts[at]!.way.heal();
  }
  await eventually(async () => (JSON.parse((await hosts[at]!.host.cluster.run('status', ['--all', '--json'])).stdout) as Hosts)
    .instances.length === 2, 20_000);
});

test('Redis is paused for longer than a lease: nobody leads, then somebody with a higher token', { skip: noRedis }, async () => {
  const { token } = await leader();
  redis.signal('SIGSTOP');
  await delay(2 * TTL);
  const before = store.all.length;
  await delay(200);
  assert.equal(store.all.length, before, 'nobody writes');
  redis.signal('SIGCONT');
  await successorOf(token);
});

test('Redis is killed and comes back with nothing: nobody leads beside one whose lease it has forgotten', { skip: noRedis }, async () => {
  for (let round = 0; round < 3; round++) {
    const { token } = await leader();
    await redis.kill();
    await redis.start();
    await successorOf(token);
  }
});

test('a reload hands it on: it is let go, and not lost', { skip: noRedis }, async () => {
  const { token, at } = await leader();
  const { cluster } = hosts[at]!.host;
  const from = cluster.output.length;
  const reload = await cluster.run('reload');
  assert.equal(reload.code, 0);
  await successorOf(token);
  assert.doesNotMatch(cluster.output.slice(from), /lease .* is lost/);
});

test('messages reach the other host all the same', { skip: noRedis }, async () => {
  await hosts[0]!.host.on(0, 'tell', 'at the end');
  await eventually(async () => (await hosts[1]!.host.heard(0)).some(({ data }) => data === 'at the end'));
});

test('nothing of all that was noticed by those who ask the site', { skip: noRedis }, async () => {
  for (const load of loads) {
    await load.stop();
    assert.ok(load.answered > 100);
    assert.equal(load.lost, 0, load.report());
  }
  for (const { host } of hosts) {
    assert.equal((await host.cluster.stop()).code, 0);
    await host.cluster.assertNothingLeft();
  }
});

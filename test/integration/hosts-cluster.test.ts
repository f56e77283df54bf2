import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../helpers/eventually.js';
import { noRedis, startHost, TestRedis } from '../helpers/hosts.js';

/** Gives the slot of a key to another node, with all that is in it. */
function moveSlot(key: string, nodes: readonly TestRedis[], from: TestRedis, to: TestRedis): void {
  const slot = from.ask('CLUSTER', 'KEYSLOT', key);
  const [source, target] = [from, to].map((one) => one.ask('CLUSTER', 'MYID')) as [string, string];
  to.ask('CLUSTER', 'SETSLOT', slot, 'IMPORTING', source);
  from.ask('CLUSTER', 'SETSLOT', slot, 'MIGRATING', target);
  const keys = from.ask('CLUSTER', 'GETKEYSINSLOT', slot, '100').split('\n').filter(Boolean);
  assert.equal(from.ask('MIGRATE', '127.0.0.1', String(to.port), '', '0', '5000', 'KEYS', ...keys), 'OK');
  for (const one of [to, from, ...nodes]) one.ask('CLUSTER', 'SETSLOT', slot, 'NODE', target);
}

test('over a Redis Cluster, whichever node a host is told of, and where its keys move to another node', { skip: noRedis }, async (t) => {
  const nodes = await TestRedis.cluster(t, 3);
  const owner = nodes.find((one) => /^\d+$/.test(one.ask('EXISTS', '{test}:era')))!;
  const [other, third] = nodes.filter((one) => one !== owner) as [TestRedis, TestRedis];
  const [a, b] = await Promise.all([
    startHost(t, { name: 'a', url: other.url, env: { LEAD: 'job', STORE: '/nowhere' } }),
    startHost(t, { name: 'b', url: owner.url }),
  ]);
  await a.cluster.waitFor(/leads job with \d+/, 15_000);
  await a.on(0, 'tell', 'one');
  await eventually(async () => (await b.heard(1)).some(({ data }) => data === 'one'), 10_000);
  assert.doesNotMatch(a.cluster.output + b.cluster.output, /cannot be reached/);

  moveSlot('{test}:era', nodes, owner, third);
  await b.on(0, 'tell', 'two');
  await eventually(async () => (await a.heard(1)).some(({ data }) => data === 'two'), 10_000);
  const { stdout } = await b.cluster.run('status', ['--all']);
  assert.match(stdout, /^ *a\b/m);
  assert.match(stdout, /^ *b\b/m);
  assert.deepEqual((await a.heard(0)).map(({ data }) => data), ['one', 'two']);
});

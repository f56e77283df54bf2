import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { clientsOf, Connection } from '../../plugins/hosts/redis-connection.js';
import { commands } from '../../plugins/hosts/scripts.js';
import { root } from '../helpers/cluster.js';
import { noRedis, TestRedis } from '../helpers/hosts.js';

const TTL = 300;
const keys = commands('mine');
const cleanups: (() => unknown)[] = [];
const scope = { after: (fn: () => unknown) => cleanups.unshift(fn) };
let redis: TestRedis;
let one: Connection;

before(async () => {
  if (noRedis) return;
  redis = await TestRedis.start(scope);
  one = new Connection({ make: clientsOf(root, { source: redis.url }, 1_000), patience: 1_000, changed: () => {} });
  scope.after(() => one.close());
  await one.up();
});
beforeEach(async () => {
  if (!noRedis) await one.command(['FLUSHALL']);
});
after(async () => {
  for (const cleanup of cleanups) await cleanup();
});

type Answer = [token: string, wait: number, highest: string];
const acquire = async (holder: string, { floor = 0, name = 'job' } = {}): Promise<Answer> =>
  await one.command(keys.acquire(name, holder, TTL, floor)) as Answer;
/** The first one after Redis has begun to know of leases: it waits for their time. */
async function first(holder: string, floor = 0): Promise<number> {
  const [, wait] = await acquire(holder, { floor });
  await delay(wait + 5);
  return Number((await acquire(holder, { floor }))[0]);
}

test('a Redis that may have forgotten a lease gives none for as long as that could last', { skip: noRedis }, async () => {
  const [token, wait] = await acquire('a');
  assert.equal(token, '0');
  assert.ok(wait > TTL - 50 && wait <= TTL, `${wait} ms`);
  await delay(wait + 5);
  assert.notEqual((await acquire('a'))[0], '0');
});

test('one has it; others are told for how long, and that one again and again the same', { skip: noRedis }, async () => {
  const token = await first('a');
  const [none, wait, highest] = await acquire('b');
  assert.deepEqual([none, Number(highest)], ['0', token]);
  assert.ok(wait > 0 && wait <= TTL);
  assert.deepEqual(await acquire('a'), [String(token), 0, String(token)]);
  assert.notEqual((await acquire('b', { name: 'another' }))[0], '0');
});

test('it ends where it is not renewed, and the next one has a higher token', { skip: noRedis }, async () => {
  const token = await first('a');
  for (let n = 0; n < 3; n++) {
    await delay(TTL / 2);
    assert.equal(await one.command(keys.renew('job', token, 'a', TTL)), 1);
  }
  await delay(TTL + 20);
  assert.equal(await one.command(keys.renew('job', token, 'a', TTL)), 0);
  assert.ok(Number((await acquire('b'))[0]) > token);
  assert.equal(await one.command(keys.renew('job', token, 'a', TTL)), 0);
});

test('it is let go by its holder alone, and all hear of it', { skip: noRedis }, async () => {
  const token = await first('a');
  assert.equal(await one.command(keys.release('job', token + 1, 'a')), 0);
  assert.equal(await one.command(keys.release('job', token, 'b')), 0);
  assert.equal((await acquire('b'))[0], '0');
  assert.equal(await one.command(keys.release('job', token, 'a')), 1);
  const [[, entries]] = await one.command(keys.read('0-0', 10)) as [[string, [string, string[]][]]];
  assert.deepEqual(entries.map(([, fields]) => fields), [['free', 'job']]);
  assert.ok(Number((await acquire('b'))[0]) > token);
});

test('tokens rise though all was lost, and above what the caller knows', { skip: noRedis }, async () => {
  const token = await first('a');
  await one.command(['FLUSHALL']);
  assert.ok(await first('b') > token);
  await one.command(['FLUSHALL']);
  const ahead = (Date.now() + 60_000) * 1_000;
  assert.equal(await first('c', ahead), ahead + 1);
});

test('another server with the same data gives no lease for as long as one may last that it does not know', { skip: noRedis }, async () => {
  const token = await first('a');
  await one.command(keys.release('job', token, 'a'));
  await one.command(['HSET', '{mine}:era', 'run', 'another-server']);
  const [none, wait] = await acquire('b');
  assert.equal(none, '0');
  assert.ok(wait > TTL - 50, `${wait} ms`);
});

test('what it knows of is renewed by its holder meanwhile', { skip: noRedis }, async () => {
  const token = await first('a');
  await one.command(['HSET', '{mine}:era', 'run', 'another-server']);
  await acquire('b');
  assert.equal(await one.command(keys.renew('job', token, 'a', TTL)), 1);
});

test('instances that are not heard of are forgotten', { skip: noRedis }, async () => {
  await one.command(keys.beat('a', '{"n":1}', TTL));
  await delay(50);
  await one.command(keys.beat('b', '{"n":2}', TTL));
  const list = async (age: number) => (await one.command(keys.list(age)) as [[string, number, string][], unknown[]])[0];
  assert.deepEqual((await list(TTL)).map(([id, , text]) => [id, text]).sort(), [['a', '{"n":1}'], ['b', '{"n":2}']]);
  assert.deepEqual((await list(40)).map(([id]) => id), ['b']);
  assert.deepEqual((await list(TTL)).map(([id]) => id), ['b']);
  await one.command(keys.leave('b'));
  assert.deepEqual(await list(TTL), []);
});

test('messages keep their order, and the oldest of very many go', { skip: noRedis }, async () => {
  for (let n = 0; n < 60; n++) await one.command(keys.send('a', Array.from({ length: 100 }, (_, at) => String(n * 100 + at))));
  const [[, entries]] = await one.command(keys.read('0-0', 10_000)) as [[string, [string, string[]][]]];
  const numbers = entries.map(([, fields]) => Number(fields[3]));
  assert.ok(numbers.length >= 5_000 && numbers.length < 5_300, `${numbers.length}`);
  assert.deepEqual(numbers, Array.from({ length: numbers.length }, (_, at) => 6_000 - numbers.length + at));
});

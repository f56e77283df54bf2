import assert from 'node:assert/strict';
import test from 'node:test';
import { defineShared } from '../../lib/api/messenger.js';
import { FakeProcesses, turn, until } from '../helpers/shared-processes.js';

class Store {
  static all: Store[] = [];
  readonly listeners = new Map<string, (value: unknown) => void>();
  constructor(readonly options: object = {}) { Store.all.push(this); }
  get(key: string) { return `value of ${key}`; }
  drop() { return 'dropped'; }
  subscribe(key: string, listener: (value: unknown) => void) { this.listeners.set(key, listener); }
  unsubscribe(key: string) { this.listeners.delete(key); }
  publish(key: string, value: unknown) { this.listeners.get(key)?.(value); }
}

type Shared = Record<string, (...args: unknown[]) => Promise<unknown>>;

async function two(definition: unknown) {
  Store.all = [];
  const world = new FakeProcesses();
  const [leader, follower] = [world.agent(), world.worker(0)];
  const [a, b] = [await leader.clients.share(definition) as Shared, await follower.clients.share(definition) as Shared];
  return { world, leader, follower, a, b };
}

test('what is declared can be called, and nothing else, from any process', async () => {
  const { world, leader, follower, a, b } = await two(defineShared({ name: 'store', client: Store, calls: ['get'] }));
  assert.equal(await b.get!('x'), 'value of x');
  for (const client of [a, b]) assert.deepEqual(['drop' in client, 'subscribe' in client, 'publish' in client], [false, false, false]);
  await assert.rejects(world.ask(follower.pid, leader.pid, ['call', 'store', 'drop', [], false]), { code: 'ERR_CLUSTER_NOT_SHARED' });
});

test('a topic that is not declared is refused, here and by the leader', async () => {
  const { world, leader, follower, b } = await two(defineShared({ name: 'store', client: Store, calls: [], topics: { users: 'state' } }));
  b.subscribe!('users', () => {});
  assert.throws(() => b.subscribe!('orders', () => {}), { code: 'ERR_CLUSTER_NOT_SHARED', message: /no topic "orders"; it has users/ });
  await assert.rejects(b.publish!('orders', 1), { code: 'ERR_CLUSTER_NOT_SHARED' });
  await assert.rejects(world.ask(follower.pid, leader.pid, ['subscribe', 'store', 'orders', 'orders']), { code: 'ERR_CLUSTER_NOT_SHARED' });
});

test('a stream has no last value: who comes late hears what comes next', async () => {
  const { a, b } = await two(defineShared({ name: 'store', client: Store, calls: [], topics: { log: 'stream', users: 'state' } }));
  const heard: unknown[] = [];
  a.subscribe!('log', () => {});
  a.subscribe!('users', () => {});
  await turn();
  await a.publish!('log', 1);
  await a.publish!('users', 1);
  b.subscribe!('log', (value: unknown) => heard.push(['log', value]));
  b.subscribe!('users', (value: unknown) => heard.push(['users', value]));
  await until(() => heard.length === 1, 'the state is heard');
  await a.publish!('log', 2);
  await until(() => heard.length === 2, 'the stream is heard');
  assert.deepEqual(heard, [['users', 1], ['log', 2]]);
});

test('values of a stream come one after the other; a listener far behind loses the oldest, which is said', async () => {
  const { follower, a, b } = await two(defineShared({ name: 'store', client: Store, calls: [], topics: { log: 'stream' } }));
  const heard: number[] = [];
  let goOn!: () => void;
  const first = new Promise<void>((resolve) => { goOn = resolve; });
  b.subscribe!('log', async (value: unknown) => {
    heard.push(value as number);
    await first;
  });
  await until(() => Store.all[0]!.listeners.size > 0, 'it is subscribed');
  for (let n = 0; n < 1_500; n++) void a.publish!('log', n);
  await until(() => follower.warnings.length > 0, 'it is said');
  assert.deepEqual(heard, [0]);
  await a.publish!('log', 1_500);
  await turn();
  goOn();
  await until(() => heard.at(-1) === 1_500, 'the last one is heard');
  assert.equal(heard.length, 1_000);
  assert.deepEqual(heard.slice(1), Array.from({ length: 999 }, (_, n) => n + 502));
  assert.equal(follower.warnings.length, 1);
});

test('the real client is made with the options of the call', async () => {
  Store.all = [];
  await new FakeProcesses().agent().clients.share(Store, { url: 'x', timeout: 100 });
  assert.deepEqual(Store.all[0]!.options, { url: 'x', timeout: 100 });
});

test('a definition without a class takes that of who may lead', async () => {
  const contract = defineShared<Store>({ name: 'store', calls: ['get'] });
  const world = new FakeProcesses();
  const follower = world.worker(0).clients.share(contract) as Promise<Shared>;
  await world.agent().clients.share(contract, { client: Store });
  assert.equal(await (await follower).get!('y'), 'value of y');
});

for (const [what, definition, message] of [
  ['no object', 1, /an object with `name` and `calls`/],
  ['no name', { calls: [] }, /`name` has to be a text, found nothing/],
  ['no calls', { name: 'x' }, /`calls` of "x" has to be a list/],
  ['an odd call', { name: 'x', calls: { get: 5 } }, /a call of "x" is `true` or/],
  ['an odd option of a call', { name: 'x', calls: { get: { timeut: 5 } } }, /a call of "x" is `true` or/],
  ['a time limit that is none', { name: 'x', calls: { get: { timeout: Infinity } } }, /the timeout of a call of "x" .* found Infinity/],
  ['a time limit below one', { name: 'x', calls: { get: { timeout: -1 } } }, /the timeout of a call of "x" .* found -1/],
  ['an unknown key', { name: 'x', calls: [], topic: {} }, /unknown key "topic"/],
  ['an odd topic', { name: 'x', calls: [], topics: { a: 'strem' } }, /the topic "a" of "x" is "state" or "stream"/],
] as const) {
  test(`defineShared refuses ${what}`, () => {
    assert.throws(() => defineShared(definition as never), { code: 'ERR_CLUSTER_USAGE', message });
  });
}

for (const [what, shared, options, message] of [
  ['a call that the class does not have', { name: 'x', client: Store, calls: ['gett'] }, {},
    /"gett", which Store does not have; it has get, drop/],
  ['a private call', { name: 'x', client: class { _get() {} }, calls: ['_get'] }, {}, /"_get", which is no name of a call/],
  ['topics of a class without any', { name: 'x', client: class { get() {} }, calls: [], topics: { a: 'state' } }, {},
    /no method "subscribe"/],
  ['a class without a name', (() => class {})(), {}, /a class without a name needs one/],
  ['what is no class', 5, {}, /expected a class, a name/],
  ['an odd time limit', Store, { timeout: 'soon' }, /a timeout is a number of milliseconds/],
] as const) {
  test(`shareClient refuses ${what}, when it is called`, async () => {
    await assert.rejects(new FakeProcesses().agent().clients.share(shared, options as never), { code: 'ERR_CLUSTER_USAGE', message });
  });
}

test('two classes under one name are refused', async () => {
  const { clients } = new FakeProcesses().agent();
  await clients.share(Store);
  await assert.rejects(clients.share(class Store { get() {} }),
    { code: 'ERR_CLUSTER_USAGE', message: /two classes are shared as "Store"/ });
});

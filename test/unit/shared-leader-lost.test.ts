import assert from 'node:assert/strict';
import test from 'node:test';
import { defineShared } from '../../lib/api/messenger.js';
import { FakeProcesses, leaderOf, turn, until } from '../helpers/shared-processes.js';

const told: string[] = [];

class Store {
  static made = 0;
  /** Milliseconds until it is ready. */
  static slowness = 0;
  readonly ready = new Promise((resolve) => { setTimeout(resolve, Store.slowness); });
  readonly at = ++Store.made;
  readonly listeners = new Map<string, (value: unknown) => void>();
  where() { return this.at; }
  slow(ms: number) { return new Promise((resolve) => { setTimeout(() => resolve(this.at), ms); }); }
  subscribe(key: string, listener: (value: unknown) => void) { this.listeners.set(key, listener); }
  unsubscribe(key: string) { this.listeners.delete(key); }
  publish(key: string, value: unknown) {
    told.push(`${this.at} ${key} ${JSON.stringify(value)}`);
    this.listeners.get(key)?.(value);
  }
}

type Shared = Record<string, (...args: unknown[]) => Promise<unknown>>;

async function three(what: unknown = Store) {
  Store.made = 0;
  told.length = 0;
  const world = new FakeProcesses();
  const processes = [world.agent(), world.worker(0), world.worker(1)] as const;
  const clients = [];
  for (const one of processes) clients.push(await one.clients.share(what) as Shared);
  const [agent, ...followers] = processes;
  const lost = async () => {
    agent.kill();
    await until(() => leaderOf('Store', world.processes) === followers[0].pid, 'the next one leads');
  };
  return { world, agent, followers, clients: clients as [Shared, Shared, Shared], lost };
}

test('a call under way rejects with a code, the next ones are answered by the next leader', async () => {
  const { clients: [, b, c], lost } = await three();
  const calls = [b.slow!(1_000), c.slow!(1_000)];
  for (const call of calls) call.catch(() => {});
  await turn();
  await lost();
  for (const call of calls) await assert.rejects(call, { code: 'ERR_CLUSTER_LEADER_LOST', message: /Store\.slow/ });
  assert.equal(await b.where!(), 2);
  assert.equal(await c.where!(), 2);
});

test('a call that may be done twice is done again', async () => {
  const shared = defineShared({ name: 'Store', client: Store, calls: { slow: { idempotent: true }, where: true } });
  const { clients: [, b], lost } = await three(shared);
  const call = b.slow!(50);
  await turn();
  await lost();
  assert.equal(await call, 2);
});

test('calls that are made while nobody leads wait, no longer than their time limit', async () => {
  const world = new FakeProcesses();
  const [agent, named] = [world.agent(), world.worker(0)];
  await agent.clients.share(Store);
  const client = await named.clients.share('Store', { timeout: 100 }) as Shared;
  agent.kill();
  await turn();
  await turn();
  await assert.rejects(client.where!(), { code: 'ERR_CLUSTER_REQUEST_TIMEOUT', message: /no leader at the moment/ });
  const call = client.where!();
  await world.agent().clients.share(Store);
  assert.equal(typeof await call, 'number');
});

test('what was subscribed is subscribed there, and hears what comes', async () => {
  const { clients: [, b, c], lost } = await three();
  const heard: unknown[] = [];
  c.subscribe!('k', (value: unknown) => heard.push(value));
  await lost();
  await b.publish!('k', 'new');
  await until(() => heard.length > 0, 'it is heard');
  assert.deepEqual(heard, ['new']);
});

test('what was published last is published again, nothing older over anything newer', async () => {
  const { clients: [, b, c], lost } = await three();
  await b.publish!('k', 'old');
  await c.publish!('k', 'new');
  await b.publish!('other', 1);
  told.length = 0;
  await lost();
  await until(() => told.length === 2, 'both keys are published');
  await b.where!();
  assert.deepEqual(told, ['2 k "new"', '2 other 1']);
});

test('of a value with its key in it, as cluster-client publishes, the newest is published last', async () => {
  class ByOne extends Store {
    override publish(reg: string | { value: unknown }) { told.push(`${this.at} ${JSON.stringify((reg as { value: unknown }).value)}`); }
  }
  Object.defineProperty(ByOne, 'name', { value: 'Store' });
  const { clients: [, b, c], followers, lost } = await three(ByOne);
  await b.publish!({ key: 'k', value: 'old' });
  await c.publish!({ key: 'k', value: 'new' });
  told.length = 0;
  // The one who has the older value comes late.
  let goOn!: () => void;
  followers[0].stopped = new Promise((resolve) => { goOn = resolve; });
  goOn();
  await lost();
  await until(() => told.length >= 2, 'both are published');
  assert.equal(told.at(-1), '2 "new"');
});

test('what is published meanwhile comes after what was published before', async () => {
  const { clients: [, b, c], agent, world, followers } = await three();
  await b.publish!('k', 1);
  agent.kill();
  const published = c.publish!('k', 2).catch(() => {});
  await until(() => leaderOf('Store', world.processes) === followers[0].pid, 'the next one leads');
  await published;
  await until(() => told.some((line) => line.startsWith('2 k 2')), 'it is published');
  assert.equal(told.filter((line) => line.startsWith('2 ')).at(-1), '2 k 2');
});

test('when another one takes over in order, calls under way are answered and none is lost', async (t) => {
  t.after(() => { Store.slowness = 0; });
  const { clients: [, b, c], agent } = await three();
  const under = [b.slow!(100), c.slow!(100)];
  await turn();
  Store.slowness = 300;
  const closed = agent.close();
  const during: unknown[] = [];
  let longest = 0;
  for (const began = performance.now(); performance.now() - began < 600;) {
    const asked = performance.now();
    during.push(await b.where!());
    longest = Math.max(longest, performance.now() - asked);
    await new Promise((resolve) => { setTimeout(resolve, 1); });
  }
  t.diagnostic(`the next client takes ${Store.slowness} ms; the longest of ${during.length} calls took ${longest.toFixed(1)} ms`);
  assert.ok(longest < Store.slowness / 2, `${longest} ms`);
  assert.deepEqual(await Promise.all(under), [1, 1]);
  await closed;
  assert.ok(during.every((at) => at === 1 || at === 2));
  assert.equal(during.at(-1), 2);
  assert.equal(await c.where!(), 2);
});

test('a follower that is away for a while is not given up, and hears what has come', async () => {
  const { clients: [a, b], followers } = await three();
  const heard: unknown[] = [];
  b.subscribe!('k', (value: unknown) => heard.push(value));
  await b.where!();
  let goOn!: () => void;
  followers[0].stopped = new Promise((resolve) => { goOn = resolve; });
  for (let n = 0; n < 3; n++) await a.publish!('k', n);
  goOn();
  await until(() => heard.length === 3, 'all is heard');
  assert.deepEqual(heard, [0, 1, 2]);
});

test('what can never be sent is refused, and keeps nobody from the next leader', async () => {
  const { clients: [, b, c], followers: [first, second], lost } = await three();
  await b.publish!('k', 'old');
  await assert.rejects(b.publish!('k', { fn() {} }), { code: 'ERR_CLUSTER_NOT_CLONEABLE' });
  await assert.rejects(b.publish!('long', 'x'.repeat(17 * 2 ** 20)), { code: 'ERR_CLUSTER_MESSAGE_TOO_LONG' });
  c.subscribe!({ fn() {} }, () => {});
  await until(() => second.warnings.length > 0, 'it is said');
  await c.where!();
  told.length = 0;
  await lost();
  assert.deepEqual([await b.where!(), await c.where!()], [2, 2]);
  await until(() => told.length > 0, 'it is published');
  assert.deepEqual(told, ['2 k "old"']);
  assert.match(second.warnings.join(), /ERR_CLUSTER_NOT_CLONEABLE|cannot be sent/);
  assert.deepEqual(first.warnings.filter((line) => !line.includes('publish')), []);
});

test('last words of more than one message can hold are all said again', async () => {
  const { clients: [, b], lost } = await three();
  for (let n = 0; n < 1_000; n++) void b.publish!(`k${n}`, 'x'.repeat(20_000));
  await b.where!();
  told.length = 0;
  await lost();
  assert.equal(await b.where!(), 2);
  await until(() => told.length >= 1_000, 'they are said');
  assert.equal(told.length, 1_000);
});

import assert from 'node:assert/strict';
import test, { mock } from 'node:test';
import { FakeProcesses } from '../helpers/shared-processes.js';

class Sums {
  value = 1;
  plain(a: number, b: number) { return a + b; }
  async promised(a: number) { return a + 1; }
  * generated(a: number): Generator<unknown, number> {
    const b = (yield Promise.resolve(a)) as number;
    const c = (yield (done: (error: null, value: number) => void) => done(null, b + 1)) as number;
    const all = (yield [Promise.resolve(c), { d: 1 }]) as [number, object];
    return all[0] + 1;
  }
  called(a: number, done: (error: Error | null, value?: number) => void) {
    if (a < 0) done(new RangeError('below zero'));
    else setImmediate(() => done(null, a * 2));
  }
  fails(): never { throw Object.assign(new TypeError('no such thing'), { code: 'E_NO' }); }
  async rejects() { throw new Error('later'); }
  nothing() {}
  map() { return new Map([['at', new Date(5)]]); }
  bytes(given: Uint8Array) { return Buffer.from(given).reverse(); }
  keeps(list: number[]) {
    list.push(9);
    return this.value;
  }
  _private() { return 'private'; }
  get accessor() { return 'accessor'; }
  never() { return new Promise(() => {}); }
}
class More extends Sums {
  override plain(a: number, b: number) { return super.plain(a, b) * 10; }
  own() { return 'own'; }
}

type Shared = Record<string, (...args: unknown[]) => Promise<unknown>>;

/** The same in the process that leads, in one that follows, and where all is one process. */
async function each(Class: new () => object, look: (client: Shared) => Promise<void> | void): Promise<void> {
  const world = new FakeProcesses();
  const [leader, follower] = [world.agent(), world.worker(0)];
  for (const one of [leader, follower]) await look(await one.clients.share(Class) as Shared);
}

test('methods that are plain, promised, generators or of a callback are called alike', () => each(Sums, async (client) => {
  assert.equal(await client.plain!(1, 2), 3);
  assert.equal(await client.promised!(1), 2);
  assert.equal(await client.generated!(1), 3);
  assert.equal(await client.nothing!(), undefined);
}));

test('a function as the last argument is called with the error or the result', () => each(Sums, async (client) => {
  const result = await new Promise((resolve) => { void client.called!(4, (...args: unknown[]) => resolve(args)); });
  assert.deepEqual(result, [null, 8]);
  const [error] = await new Promise<[Error]>((resolve) => { void client.called!(-1, (...args: [Error]) => resolve(args)); });
  assert.equal(error.message, 'below zero');
  const plain = await new Promise((resolve) => { void client.promised!(4, (...args: unknown[]) => resolve(args)); });
  assert.deepEqual(plain, [null, 5]);
}));

test('what a method throws or rejects with is the caller\'s', () => each(Sums, async (client) => {
  await assert.rejects(client.fails!(), { message: 'no such thing' });
  await assert.rejects(client.rejects!(), { message: 'later' });
}));

test('Map, Date and Buffer arrive as they are', () => each(Sums, async (client) => {
  assert.deepEqual(await client.map!(), new Map([['at', new Date(5)]]));
  const bytes = await client.bytes!(Buffer.from([1, 2, 3]));
  assert.ok(Buffer.isBuffer(bytes));
  assert.deepEqual([...bytes], [3, 2, 1]);
}));

test('what is given is the caller\'s own, whatever the real client does to it', () => each(Sums, async (client) => {
  const list = [1];
  await client.keeps!(list);
  assert.deepEqual(list, [1]);
}));

test('what cannot be sent is refused with a code, in the process that leads as well', () => each(Sums, async (client) => {
  await assert.rejects(client.plain!({ fn() {} }, 1), { code: 'ERR_CLUSTER_NOT_CLONEABLE', message: /Sums\.plain/ });
}));

test('inherited methods are there, the nearest of each name', () => each(More, async (client) => {
  assert.equal(await client.plain!(1, 2), 30);
  assert.equal(await client.own!(), 'own');
}));

test('neither private names, accessors nor what every object has can be called', async () => {
  const world = new FakeProcesses();
  const [leader, follower] = [world.agent(), world.worker(0)];
  await leader.clients.share(Sums);
  const client = await follower.clients.share(Sums) as Shared;
  for (const name of ['_private', 'accessor']) assert.equal(name in client, false, name);
  for (const name of ['_private', 'accessor', 'constructor', 'toString', 'hasOwnProperty', '__proto__', 'value', 'none']) {
    await assert.rejects(world.ask(follower.pid, leader.pid, ['call', 'Sums', name, [], false]), { code: 'ERR_CLUSTER_NOT_SHARED' }, name);
  }
});

test('a method can be mocked and spied on', () => each(Sums, async (client) => {
  const spy = mock.method(client, 'plain');
  assert.equal(await client.plain!(1, 2), 3);
  assert.equal(spy.mock.callCount(), 1);
  spy.mock.restore();
  mock.method(client, 'plain', async () => 'mocked');
  assert.equal(await client.plain!(1, 2), 'mocked');
}));

test('a call has a time limit', async () => {
  const world = new FakeProcesses();
  const client = await world.worker(0).clients.share(Sums, { timeout: 20 }) as Shared;
  await assert.rejects(client.never!(), { code: 'ERR_CLUSTER_REQUEST_TIMEOUT', message: /Sums\.never.* 20 ms/ });
});

test('calls of one process are made in their order', async () => {
  const heard: number[] = [];
  class Ordered { put(n: number) { heard.push(n); } }
  const world = new FakeProcesses();
  await world.agent().clients.share(Ordered);
  const client = await world.worker(0).clients.share(Ordered) as Shared;
  await Promise.all(Array.from({ length: 100 }, (_, n) => client.put!(n)));
  assert.deepEqual(heard, Array.from({ length: 100 }, (_, n) => n));
});

test('what anybody else sends under its action is refused, or is nothing', async () => {
  const world = new FakeProcesses();
  const agent = world.agent();
  await agent.clients.share(Sums);
  const calls = [null, 5, ['call'], ['call', 'Sums', 'plain', 5], ['toString', 'Sums']];
  for (const odd of [...calls, ['attach', 'Sums', 5], ['publish', 'Sums', null]]) {
    agent.clients.told(1, odd as never);
    await assert.rejects(async () => agent.clients.asked(1, odd as never), { code: 'ERR_CLUSTER_USAGE' });
  }
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { FakeProcesses, turn, until } from '../helpers/shared-processes.js';

/** A real client that tells how it is used. */
class Board {
  static used: string[] = [];
  readonly listeners = new Map<string, Set<(value: unknown) => void>>();
  readonly values = new Map<string, unknown>();
  subscribe(key: string, listener: (value: unknown) => void) {
    Board.used.push(`subscribe ${key}`);
    this.listeners.set(key, (this.listeners.get(key) ?? new Set()).add(listener));
    if (this.values.has(key)) listener(this.values.get(key));
  }
  unsubscribe(key: string, listener: (value: unknown) => void) {
    Board.used.push(`unsubscribe ${key}${this.listeners.get(key)?.delete(listener) ? '' : ' of nobody'}`);
  }
  publish(key: string, value: unknown) {
    this.values.set(key, value);
    for (const listener of this.listeners.get(key) ?? []) listener(value);
  }
}

interface Shared {
  subscribe(key: unknown, listener: (value: never) => unknown): void;
  unsubscribe(key: unknown, listener?: (value: never) => unknown): void;
  unSubscribe(key: unknown, listener?: (value: never) => unknown): void;
  publish(...args: unknown[]): Promise<unknown>;
}

async function three(Class: unknown = Board) {
  Board.used = [];
  const world = new FakeProcesses();
  const processes = [world.agent(), world.worker(0), world.worker(1)];
  const clients = [];
  for (const one of processes) clients.push(await one.clients.share(Class) as unknown as Shared);
  return { world, processes, clients: clients as [Shared, Shared, Shared] };
}

test('a value that one process publishes reaches those who subscribe, in all processes', async () => {
  const { clients: [a, b, c] } = await three();
  const heard: string[] = [];
  a.subscribe('k', (value) => heard.push(`a ${String(value)}`));
  b.subscribe('k', (value) => heard.push(`b ${String(value)}`));
  await turn();
  await c.publish('k', 1);
  await until(() => heard.length === 2, 'both have heard it');
  assert.deepEqual(heard.sort(), ['a 1', 'b 1']);
});

test('who subscribes late gets the last value: in its process, and where somebody has it already', async () => {
  const { clients: [a, b] } = await three();
  const heard: unknown[] = [];
  await a.publish('k', 'first');
  await a.publish('k', 'last');
  b.subscribe('k', (value) => heard.push(value));
  await until(() => heard.length === 1, 'it came from the leader');
  b.subscribe('k', (value) => heard.push(value));
  await until(() => heard.length === 2, 'it was known here');
  assert.deepEqual(heard, ['last', 'last']);
});

test('fifty that subscribe and unsubscribe in two processes reach the real client as one and one', async () => {
  const { clients: [, b, c] } = await three();
  const listeners = Array.from({ length: 50 }, () => () => {});
  for (const listener of listeners) {
    b.subscribe('k', listener);
    c.subscribe('k', listener);
  }
  await until(() => Board.used.length > 0, 'it is subscribed');
  for (const listener of listeners) b.unsubscribe('k', listener);
  for (const listener of listeners) c.unSubscribe('k', listener);
  await until(() => Board.used.length > 1, 'and no more');
  assert.deepEqual(Board.used, ['subscribe k', 'unsubscribe k']);
});

test('unsubscribing without a listener ends all of that key, and no other', async () => {
  const { clients: [a, b] } = await three();
  const heard: unknown[] = [];
  b.subscribe('k', () => heard.push('k'));
  b.subscribe('k', () => heard.push('k'));
  b.subscribe('other', () => heard.push('other'));
  b.unsubscribe('k');
  await turn();
  await a.publish('k', 1);
  await a.publish('other', 1);
  await until(() => heard.length > 0, 'the other one is heard');
  assert.deepEqual(heard, ['other']);
});

test('each listener has a value of its own', async () => {
  const { clients: [a, b] } = await three();
  const heard: object[] = [];
  const spoil = (value: Record<string, unknown>) => {
    heard.push({ ...value });
    value.spoilt = true;
  };
  for (const client of [a, b]) {
    client.subscribe('k', spoil);
    client.subscribe('k', spoil);
  }
  await a.publish('k', { n: 1 });
  await until(() => heard.length === 4, 'all have heard it');
  b.subscribe('k', spoil);
  await until(() => heard.length === 5, 'the late one too');
  assert.deepEqual(heard, Array(5).fill({ n: 1 }));
});

test('a key may be an object, whatever the order of its fields', async () => {
  class ByObject extends Board {
    override subscribe(key: unknown, listener: (value: unknown) => void) { super.subscribe((key as { id: string }).id, listener); }
    override unsubscribe(key: unknown, listener: (value: unknown) => void) { super.unsubscribe((key as { id: string }).id, listener); }
  }
  const { clients: [a, b] } = await three(ByObject);
  a.subscribe({ id: 'x', group: 1 }, () => {});
  b.subscribe({ group: 1, id: 'x' }, () => {});
  await until(() => Board.used.length > 0, 'it is subscribed');
  a.unsubscribe({ group: 1, id: 'x' });
  b.unsubscribe({ id: 'x', group: 1 });
  await until(() => Board.used.length > 1, 'and no more');
  assert.deepEqual(Board.used, ['subscribe x', 'unsubscribe x']);
});

test('a process that has ended is no subscriber any more', async () => {
  const { processes: [, follower], clients: [, b] } = await three();
  b.subscribe('k', () => {});
  await until(() => Board.used.length > 0, 'it is subscribed');
  follower!.kill();
  await until(() => Board.used.length > 1, 'the real client is told');
  assert.deepEqual(Board.used, ['subscribe k', 'unsubscribe k']);
});

test('a listener that throws keeps no other from its value', async () => {
  const { clients: [a, b] } = await three();
  const heard: unknown[] = [];
  const uncaught: unknown[] = [];
  const before = process.rawListeners('uncaughtException');
  process.removeAllListeners('uncaughtException').on('uncaughtException', (error) => uncaught.push(error.message));
  try {
    b.subscribe('k', () => { throw new Error('mine'); });
    b.subscribe('k', (value) => heard.push(value));
    await turn();
    await a.publish('k', 7);
    await until(() => heard.length === 1 && uncaught.length === 1, 'both were called');
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of before) process.on('uncaughtException', listener as () => void);
  }
  assert.deepEqual([heard, uncaught], [[7], ['mine']]);
});

test('what the real client refuses to publish rejects, and need not be awaited', async () => {
  class Refuses extends Board { override publish(): never { throw new Error('read only'); } }
  const { clients: [, b], processes: [leader] } = await three(Refuses);
  await assert.rejects(b.publish('k', 1), { message: 'read only' });
  void b.publish('k', 2);
  await until(() => leader!.warnings.length === 2, 'both are in the log');
});

test('one who reads slowly is spared what is old, and gets the last value of each key when there is room; the others all', async () => {
  const { world, processes: [, slow], clients: [a, b, c] } = await three();
  const heard: Record<string, unknown[]> = { slow: [], other: [] };
  for (const key of ['k', 'l']) b.subscribe(key, (value) => heard.slow!.push(value));
  c.subscribe('k', (value) => heard.other!.push(value));
  await a.publish('k', 0);
  await until(() => heard.slow!.length === 1, 'it is heard');
  world.slow.add(slow!.pid);
  for (let n = 1; n < 10; n++) await a.publish('k', n);
  await a.publish('l', 'last');
  await until(() => heard.other!.length === 10, 'the other one has heard all');
  assert.deepEqual(heard.slow, [0]);
  world.slow.delete(slow!.pid);
  await until(() => heard.slow!.length >= 3, 'it has caught up');
  assert.deepEqual(heard.slow, [0, 9, 'last']);
  await a.publish('k', 10);
  await until(() => heard.slow!.length === 4, 'and goes on');
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { FakeProcesses } from '../helpers/shared-processes.js';

type Shared = Record<string, (...args: unknown[]) => Promise<unknown>>;
const closed: string[] = [];

class Plain { get() { return 1; } close() { closed.push('plain'); } }
class Promised {
  get() { return 1; }
  async close() {
    await new Promise((resolve) => { setTimeout(resolve, 20); });
    closed.push('promised');
  }
}
class Generated { get() { return 1; } * close() { yield Promise.resolve(); closed.push('generated'); } }
class Fails { get() { return 1; } close() { closed.push('fails'); throw new Error('will not close'); } }
class None { get() { return 1; } }

const FORMS = [[Plain, ['plain']], [Promised, ['promised']], [Generated, ['generated']], [Fails, ['fails']], [None, []]] as const;
for (const [Class, expected] of FORMS) {
  test(`the real client is closed with the last that shares it: ${Class.name}`, async () => {
    closed.length = 0;
    const world = new FakeProcesses();
    const [a, b] = [world.worker(0), world.worker(1)];
    const [leading, following] = [await a.clients.share(Class) as Shared, await b.clients.share(Class) as Shared];
    await following.close!();
    assert.deepEqual(closed, []);
    await leading.close!();
    assert.deepEqual(closed, expected);
  });
}

test('of several clients in one process the last one closes', async () => {
  closed.length = 0;
  const one = new FakeProcesses().worker(0);
  const [first, second] = [await one.clients.share(Plain) as Shared, await one.clients.share(Plain) as Shared];
  await first.close!();
  assert.equal(await second.get!(), 1);
  assert.deepEqual(closed, []);
  await second.close!();
  assert.deepEqual(closed, ['plain']);
});

test('closing twice is closing once; a call after it rejects with a code', async () => {
  closed.length = 0;
  const client = await new FakeProcesses().worker(0).clients.share(Plain) as Shared;
  await Promise.all([client.close!(), client.close!()]);
  await client.close!();
  assert.deepEqual(closed, ['plain']);
  await assert.rejects(client.get!(), { code: 'ERR_CLUSTER_CLIENT_CLOSED' });
});

test('calls under way are answered before the client is closed', async () => {
  class Slow { async get() { await new Promise((resolve) => { setTimeout(resolve, 30); }); return 'done'; } }
  const world = new FakeProcesses();
  for (const one of [world.worker(0), world.worker(1)]) {
    const client = await one.clients.share(Slow) as Shared;
    const call = client.get!();
    await client.close!();
    assert.equal(await call, 'done');
  }
});

test('it can be shared again after it was closed', async () => {
  const one = new FakeProcesses().worker(0);
  const client = await one.clients.share(Plain) as Shared;
  void client.close!();
  const again = await one.clients.share(Plain) as Shared;
  assert.equal(await again.get!(), 1);
});

test('an error of the real client after it was closed ends no process', async () => {
  const { EventEmitter } = await import('node:events');
  const all: InstanceType<typeof EventEmitter>[] = [];
  class Late extends EventEmitter {
    constructor() {
      super();
      all.push(this);
    }
  }
  const client = await new FakeProcesses().worker(0).clients.share(Late) as unknown as Shared;
  await client.close!();
  all[0]!.emit('error', new Error('too late'));
});

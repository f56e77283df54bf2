import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { Channel } from '../../lib/ipc/channel.js';

/** Both ends of one connection. */
async function ends(t: TestContext, options?: { declaring: boolean }) {
  const server = net.createServer();
  server.listen(path.join(os.tmpdir(), `channel-${process.pid}-${Math.random().toString(36).slice(2)}.sock`));
  await once(server, 'listening');
  const client = net.connect(server.address() as string);
  const [accepted] = await once(server, 'connection') as [net.Socket];
  const master = new Channel<'master', 'worker'>(accepted);
  const worker = new Channel<'worker', 'master'>(client, options);
  t.after(() => {
    master.end();
    worker.end();
    server.close();
  });
  return { master, worker, raw: client };
}

test('data arrives as it was sent: Map, Date, Buffer, big and many, in order', async (t) => {
  const { master, worker } = await ends(t);
  const got: unknown[] = [];
  const done = new Promise<void>((resolve) => master.on('messenger.envelope', ({ data }) => {
    got.push(data);
    if (got.length === 1_003) resolve();
  }));
  const big = Buffer.alloc(3_000_000, 7);
  worker.send('messenger.envelope', { action: 'a', data: new Map([['k', new Date(5)]]) });
  worker.send('messenger.envelope', { action: 'a', data: big });
  for (let i = 0; i < 1_000; i++) worker.send('messenger.envelope', { action: 'a', data: i });
  worker.send('messenger.envelope', { action: 'a', data: 'end' });
  await done;
  assert.deepEqual(got[0], new Map([['k', new Date(5)]]));
  assert.ok(big.equals(got[1] as Buffer));
  assert.deepEqual(got.slice(2), [...Array(1_000).keys(), 'end']);
});

test('a message type nobody declared runs nothing and is refused', async (t) => {
  const { worker } = await ends(t);
  await assert.rejects(worker.request('child.hello', { node: 'x' }, { timeout: 1_000 }), { code: 'ERR_CLUSTER_UNKNOWN_MESSAGE' });
});

test('a request rejects at its deadline, and at once when the other side goes', async (t) => {
  const { master, worker } = await ends(t);
  master.on('child.hello', () => new Promise(() => {}));
  await assert.rejects(worker.request('child.hello', { node: 'x' }, { timeout: 20 }), { code: 'ERR_CLUSTER_REQUEST_TIMEOUT' });
  const asked = assert.rejects(worker.request('child.hello', { node: 'x' }, { timeout: 10_000 }), { code: 'ERR_CLUSTER_CHANNEL_CLOSED' });
  master.end();
  await asked;
  assert.equal(worker.send('child.hello', { node: 'x' }), false);
});

test('what comes before its type is declared waits for it; once all are, what is left is refused', async (t) => {
  const { master, worker } = await ends(t, { declaring: true });
  const close = { reason: 'stop', timeout: 1, streamTimeout: 1 } as const;
  master.send('child.close', close);
  const asked = master.request('child.accept', { path: '/early' }, { timeout: 1_000 });
  const refused = assert.rejects(master.request('child.acceptRest', { path: '/never' }, { timeout: 1_000 }),
    { code: 'ERR_CLUSTER_UNKNOWN_MESSAGE' });
  const known = master.request('messenger.envelope' as never, null as never, { timeout: 1_000 });
  worker.on('messenger.envelope', () => 'known' as never);
  assert.equal(await known, 'known');
  const closed: unknown[] = [];
  worker.on('child.close', (data) => { closed.push(data); });
  assert.deepEqual(closed, [close]);
  let path: unknown;
  worker.on('child.accept', (data) => { ({ path } = data); });
  await asked;
  assert.equal(path, '/early');
  worker.declared();
  await refused;
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { addresses, ask, stickyCluster } from '../helpers/sticky.js';

/** Which slot answers each client. */
async function slots(port: number, clients: string[]): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const from of clients) found.set(from, (await ask({ port }, '/', { from })).slot);
  return found;
}
const moved = (before: Map<string, number>, after: Map<string, number>) =>
  [...before].filter(([client, slot]) => after.get(client) !== slot);

test('200 clients keep their slot through a death, a reload, and a scale up and down', async (t) => {
  const cluster = await stickyCluster(t, { patience: 300 }, { config: { refork: { minDelay: 3_000 } } });
  const { port } = cluster;
  const clients = addresses(200);
  const before = await slots(port, clients);
  assert.deepEqual(new Set(before.values()), new Set([0, 1, 2, 3]));

  await t.test('a slot that is away moves its own clients alone, and gets them back', async () => {
    const { pid } = (await cluster.status()).workers[1]!;
    process.kill(pid, 'SIGKILL');
    const meanwhile = await slots(port, clients);
    for (const [client, slot] of moved(before, meanwhile)) {
      assert.equal(before.get(client), 1, `${client} went from ${before.get(client)} to ${slot}`);
    }
    assert.ok(moved(before, meanwhile).length > 20);
    await cluster.waitFor(/app_worker#5:\d+ \(slot 1\) started/);
    assert.deepEqual(moved(before, await slots(port, clients)), []);
  });

  await t.test('reload', async () => {
    assert.equal((await cluster.run('reload')).code, 0);
    assert.deepEqual(moved(before, await slots(port, clients)), []);
  });

  await t.test('two slots more take their share and no more; without them all is as before', async () => {
    assert.equal((await cluster.run('scale', ['6'])).code, 0);
    const more = await slots(port, clients);
    for (const [client] of moved(before, more)) assert.ok(more.get(client)! >= 4);
    assert.equal((await cluster.run('scale', ['4'])).code, 0);
    assert.deepEqual(moved(before, await slots(port, clients)), []);
  });
});

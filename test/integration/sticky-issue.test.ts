import assert from 'node:assert/strict';
import test from 'node:test';
import { ask, stickyCluster } from '../helpers/sticky.js';

test('a cookie binds clients behind one address to the worker that they met first; forged ones are replaced', async (t) => {
  const cluster = await stickyCluster(t, { mode: 'request', issue: true });
  const clients: { slot: number; cookie: string }[] = [];
  for (let n = 0; n < 24; n++) {
    const { slot, answer } = await ask(cluster, '/cookie');
    const [a, b, issued] = answer['set-cookie']!;
    assert.deepEqual([a, b], ['a=1', 'b=2']);
    assert.match(issued!, new RegExp(`^hatchery-slot=${slot}\\.[\\w-]+; Path=/; HttpOnly; SameSite=Lax$`));
    clients.push({ slot, cookie: issued!.split(';')[0]! });
  }
  assert.equal(new Set(clients.map((client) => client.slot)).size, 4);
  const bound = async () => {
    for (const { slot, cookie } of clients) {
      const again = await ask(cluster, '/', { headers: { cookie } });
      assert.equal(again.slot, slot);
      assert.equal(again.answer['set-cookie'], undefined);
    }
  };
  await bound();
  assert.equal((await cluster.run('reload')).code, 0);
  await bound();
  for (const cookie of [
    'hatchery-slot=2', 'hatchery-slot=2.forged', `${clients[0]!.cookie}x`, clients[0]!.cookie.slice(0, -1),
    `hatchery-slot=${'A'.repeat(8_000)}`,
  ]) {
    assert.equal((await ask(cluster, '/', { headers: { cookie } })).answer['set-cookie']?.length, 1, cookie);
  }
  assert.equal((await cluster.run('scale', ['2'])).code, 0);
  for (const { slot, cookie } of clients) {
    const again = await ask(cluster, '/', { headers: { cookie } });
    assert.equal(again.answer['set-cookie']?.length, slot < 2 ? undefined : 1);
    if (slot < 2) assert.equal(again.slot, slot);
  }
});

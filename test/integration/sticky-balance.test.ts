import assert from 'node:assert/strict';
import test from 'node:test';
import { skip as reusePort } from '../helpers/reuse-port.js';
import { addresses, ask, stickyCluster } from '../helpers/sticky.js';

for (const balance of ['os', 'reuse-port'] as const) {
  const skip = balance === 'reuse-port' && reusePort;

  test(`balance "${balance}", by connection: the master takes over accepting and says so, also after a reload`, { skip }, async (t) => {
    const cluster = await stickyCluster(t, {}, { config: { balance } });
    assert.match(cluster.output, new RegExp(`WARN .*\`balance\` is "round-robin" in mode "connection", not "${balance}"`));
    const clients = addresses(30);
    const slots = async () => {
      const found: number[] = [];
      for (const from of clients) found.push((await ask(cluster, '/', { from })).slot);
      return found;
    };
    const before = await slots();
    assert.deepEqual(await slots(), before);
    assert.equal((await cluster.run('reload')).code, 0);
    assert.deepEqual(await slots(), before);
  });

  test(`balance "${balance}", by request: as it is`, { skip }, async (t) => {
    const cluster = await stickyCluster(t, { mode: 'request', key: { header: 'x-client' } }, { config: { balance } });
    assert.doesNotMatch(cluster.output, /WARN/);
    for (let n = 0; n < 10; n++) {
      const answers = await Promise.all(Array.from({ length: 6 }, () => ask(cluster, '/', { headers: { 'x-client': `c${n}` } })));
      assert.equal(new Set(answers.map((one) => one.slot)).size, 1);
    }
  });
}

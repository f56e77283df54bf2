import assert from 'node:assert/strict';
import test from 'node:test';
import { fixture, residentBytes, startCluster, type Scope } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

const { floods } = await import(`${fixture('hostile')}/deeds.js`) as { floods: object };

const start = (t: Scope) => startCluster(t, 'hostile', {
  env: { HOSTILE_SHUT: '1' }, flags: ['--config', withConfig(t, { workers: 2, agent: true, refork: { limit: 10_000, maxDelay: 0 } })],
});

for (const what of Object.keys(floods)) {
  test(`a worker that floods the master is cut off, and the others go on: ${what}`, async (t) => {
    const cluster = await start(t);
    const before = residentBytes(cluster.pid);
    let over = false;
    let answered = 0;
    let most = 0;
    void get(`${cluster.url}/do?what=${encodeURIComponent(what)}`, { deadline: 10_000 }).catch(() => {});
    const load = (async () => {
      while (!over) {
        await get(cluster.url, { deadline: 5_000 });
        most = Math.max(most, residentBytes(cluster.pid));
        answered++;
      }
    })();
    await cluster.waitFor(/\(slot 1\) was cut off, as it floods the master: \d+ messages/, 30_000);
    await cluster.waitFor(/\(slot 1\) was cut off(?:.*\n)*.*\(slot 1\) started/);
    over = true;
    await load;
    t.diagnostic(`${answered} answered meanwhile, ${Math.round((most - before) / 2 ** 20)} MiB more`);
    assert.ok(answered > 20, `${answered} answered`);
    assert.ok(most - before < 100 * 2 ** 20, `${Math.round((most - before) / 2 ** 20)} MiB more`);
    assert.equal((await cluster.stop()).code, 0);
  });
}

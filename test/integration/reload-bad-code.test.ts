import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { answering, ownApp } from '../helpers/own-app.js';

const bad: [what: string, code: string, told: RegExp][] = [
  ['throws at import', 'throw new Error("no such table: users");', /no such table: users[\s\S]*server\.js:1/],
  [
    'throws for a cause', 'throw new Error("not connected", { cause: new Error("port 5432 is closed") });',
    /not connected[\s\S]*port 5432 is closed/,
  ],
  ['rejects', 'Promise.reject(new Error("vault is sealed"));', /vault is sealed/],
  ['says why and exits 1', 'console.error("DATABASE_URL is not set"); process.exit(1);', /DATABASE_URL is not set/],
  ['exits 0', 'process.exit(0);', /code 0 before it was ready/],
  ['hangs', 'for (;;);', /not ready within 2500 ms/],
  ['never listens', 'setInterval(() => {}, 1000);', /not ready within 2500 ms/],
  ['has a syntax error', 'const x = ;', /Unexpected token/],
];

for (const [what, code, told] of bad) {
  test(`reload to code that ${what}: the old workers untouched, the reason told, exit 1, one boot`, async (t) => {
    const app = ownApp(t, { 'server.js': answering('old') });
    const cluster = await startCluster(t, app.dir, { flags: ['-w', '3', '--start-timeout', '2500'] });
    const before = (await cluster.status()).workers.map(({ pid }) => pid);
    app.write('server.js', code);
    let lost = 0;
    let going = true;
    const load = (async () => {
      while (going) if ((await get(cluster.url).catch(() => null))?.json.text !== 'old') lost++;
    })();
    const reload = await cluster.run('reload');
    going = false;
    await load;
    assert.equal(reload.code, 1);
    assert.match(reload.stdout + reload.stderr, told);
    assert.match(reload.stdout + reload.stderr, /old workers are untouched/);
    const after = await cluster.status();
    assert.deepEqual(after.workers.map(({ pid }) => pid), before);
    assert.equal(after.state, 'running');
    assert.equal(after.lastReload?.ok, false);
    assert.equal(lost, 0);
    assert.equal(cluster.output.match(/generation 2/g)?.length, 1);

    // The next good code goes through.
    app.write('server.js', answering('new'));
    assert.equal((await cluster.run('reload')).code, 0);
    assert.equal((await get(cluster.url)).json.text, 'new');
    await cluster.stop();
    await cluster.assertNothingLeft();
  });
}

test('reload.soak: code that crashes 2 s after ready does not get past the canary', async (t) => {
  const app = ownApp(t, { 'server.js': answering('old'), '.clusterrc': { reload: { soak: 2_500 } } });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'] });
  const before = (await cluster.status()).workers.map(({ pid }) => pid);
  app.write('server.js', answering('new', 'setTimeout(() => { throw new Error("late surprise"); }, 2000);'));
  const reload = await cluster.run('reload');
  assert.equal(reload.code, 1);
  assert.match(reload.stdout + reload.stderr, /late surprise/);
  assert.deepEqual((await cluster.status()).workers.map(({ pid }) => pid), before);
});

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { freePort } from '../helpers/cluster.js';
import { startDev } from '../helpers/dev.js';

test('a changed .clusterrc is read, told and applied, or told to need a start', { timeout: 30_000 }, async (t) => {
  const port = await freePort();
  const other = await freePort();
  const config = (more: object) => JSON.stringify({ port, ...more });
  const dev = await startDev(t, 'dev-app', {
    port: false, edit: (dir) => writeFileSync(path.join(dir, '.clusterrc'), config({ env: { WORD: 'one' } })),
  });
  const { cluster } = dev;
  Object.assign(cluster, { port });
  dev.write('app.js', 'module.exports = (request, response) => response.end(`${process.env.WORD} ${process.env.CLUSTER_SLOT}`);');
  await dev.answer(/^one 0/m);

  dev.write('.clusterrc', config({ env: { WORD: 'two' }, workers: 2 }));
  await dev.answer(/^two 1/m);
  await dev.answer(/^two 0/m);
  await cluster.waitFor(/config: workers 1 -> 2/);
  await cluster.waitFor(/config: env\.WORD "one" -> "two"/);

  dev.write('.clusterrc', config({ env: { WORD: 'three' } }));
  await dev.answer(/^three 0/m);
  await cluster.waitFor(/config: workers 2 -> 1/);

  let from = dev.mark();
  dev.write('.clusterrc', config({ env: { WORD: 'four' }, title: 'another' }));
  await dev.answer(/^four/m);
  await cluster.waitFor(/config: title "dev-app" -> "another": start again for this to take effect/, 5_000, from);

  from = dev.mark();
  dev.write('.clusterrc', '{ "port": 1, "wrokers": 3 }');
  await cluster.waitFor(/The configuration is wrong: .*wrokers.*workers/, 5_000, from);
  await dev.answer(/The configuration is wrong/);

  dev.write('.clusterrc', JSON.stringify({ port: other, env: { WORD: 'five' } }));
  await cluster.waitFor(/config: port \d+ -> \d+/, 5_000, from);
  cluster.port satisfies number;
  Object.assign(cluster, { port: other });
  await dev.answer(/^five/m);
  await assert.rejects(async () => {
    Object.assign(cluster, { port });
    await dev.get();
  }, /refused|ECONNREFUSED/, 'the old port is closed');
});

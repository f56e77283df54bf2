import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';

test("a framework on hatchery's own Application and Agent", async (t) => {
  const cluster = await startCluster(t, 'framework-plain', { flags: ['-w', '2'] });
  const { json } = await get(cluster.url);
  assert.equal(json.by, 'framework');
  assert.equal(json.met, true, 'the event "server" came before it listened');
  assert.equal(json.baseDir, fixture('framework-plain'));
  assert.equal(typeof json.clusterPort, 'number');
  assert.match(cluster.output, /agent connected/);
  assert.equal((await cluster.stop()).code, 0);
  assert.match(cluster.output, /application closed[^]*application closed[^]*agent closed/);
  await cluster.assertNothingLeft();
});

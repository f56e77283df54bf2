import assert from 'node:assert/strict';
import { test } from 'node:test';
import { descriptors, startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { Load } from '../helpers/load.js';
import { queues, skip } from '../helpers/reuse-port.js';

test('slots come and go under load, a connection for each request: nothing is lost, their sockets stay', { skip }, async (t) => {
  const cluster = await startCluster(t, 'drain-app', { flags: ['-w', '4'], env: { CLUSTER_BALANCE: 'reuse-port' } });
  const load = new Load({ perConnection: 4 }, { http: { port: cluster.port }, pause: 2 }, t);
  const some = async () => {
    const enough = load.answered + 200;
    await eventually(() => load.answered > enough);
  };
  await some();
  for (const [count, sockets] of [[1, 4], [2, 4], [5, 5], [1, 5]] as const) {
    const { code, stdout, stderr } = await cluster.run('scale', [String(count)], 40_000);
    assert.equal(code, 0, stdout + stderr);
    await some();
    assert.equal(queues(cluster.pid, cluster.port).length, sockets);
  }
  const before = descriptors(cluster.pid);
  for (let round = 0; round < 3; round++) for (const count of ['3', '1']) await cluster.run('scale', [count], 40_000);
  await some();
  await eventually(() => descriptors(cluster.pid) <= before + 1);
  await load.stop();
  assert.equal(load.lost, 0, `${load.report()}\n${cluster.output}`);
  assert.equal((await cluster.stop()).code, 0);
});

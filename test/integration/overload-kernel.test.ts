import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { costlyApp, flood } from '../helpers/flood.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';
import { unsuited } from '../helpers/skips.js';

const overload = { target: 10, interval: 50, route: false, acceptor: false };
const skip = process.platform === 'linux' ? false : unsuited.linux;

for (const [what, flags] of [['a worker that accepts by itself', ['--workers', '1']], ['--workers 0', ['--workers', '0']]] as const) {
  test(`a queue of new connections that stands in the kernel is shed: ${what}`, { skip }, async (t) => {
    const { dir } = ownApp(t, { 'app.js': costlyApp(5), '.clusterrc': { plugins: { overload } } });
    const cluster = await startCluster(t, dir, { flags: [...flags], env: { CLUSTER_BALANCE: 'os' } });
    const load = flood(cluster.port, { clients: 60, keeps: false });
    await eventually(() => load.shed > 50 && (load.answers.get(200) ?? 0) > 50, 30_000);
    const { workers: [worker], app } = await cluster.status();
    assert.ok((worker ?? app)?.overload);
    assert.equal((await get(`${cluster.url}/healthz`)).text, 'fine');
    await load.stop();
    assert.deepEqual(load.losses, []);
  });
}

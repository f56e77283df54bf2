import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import test from 'node:test';
import { startCluster, type TestCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { answering, ownApp } from '../helpers/own-app.js';

/** A module that takes its time to load, so that the next worker is not there yet when the stop comes. */
const LOADS = 'const until = performance.now() + 800; while (performance.now() < until);';
const APP = { 'app.js': answering('one', LOADS), '.clusterrc': { workers: 1 } };

/** The only worker has ended, and the next one is on its way. */
async function nextWorker(cluster: TestCluster, signal: NodeJS.Signals): Promise<void> {
  const [before] = cluster.workerPids();
  process.kill(before!, signal);
  await eventually(() => cluster.workerPids().some((pid) => pid !== before) && !cluster.workerPids().includes(before!));
}

/** Who has connected, and what comes back. */
async function client(port: number): Promise<{ answer: Promise<string> }> {
  const socket = net.connect(port, '127.0.0.1').setEncoding('utf8');
  socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  const answer = new Promise<string>((resolve, reject) => {
    let all = '';
    socket.on('data', (chunk) => { all += String(chunk); }).once('error', reject).once('end', () => resolve(all));
  });
  await Promise.race([once(socket, 'connect'), answer]);
  return { answer };
}

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  test(`a stop answers who waits for the next worker, as the only one has ended by ${signal}`, async (t) => {
    const cluster = await startCluster(t, ownApp(t, APP).dir);
    await nextWorker(cluster, signal);
    const clients = await Promise.all(Array.from({ length: 5 }, () => client(cluster.port)));
    const closed = cluster.stop();
    for (const { answer } of clients) assert.match(await answer, /^HTTP\/1\.1 200 /);
    assert.equal((await closed).code, 0);
    await cluster.assertNothingLeft();
  });
}

for (const { waiting, limit } of [{ waiting: 0, limit: 8_000 }, { waiting: 1, limit: 12_000 }]) {
  test(`a stop does not wait for a worker that does not come, with ${waiting} who wait`, async (t) => {
    const hangs = 'if (require("node:fs").existsSync(__dirname + "/hang")) setInterval(() => {}, 1_000); else ';
    const { dir, write } = ownApp(t, { 'app.js': `${hangs}${answering('one').trim()}`, '.clusterrc': {
      workers: 1, plugins: { 'graceful-exit': { timeout: waiting > 0 ? 4_000 : 30_000 } },
    } });
    const cluster = await startCluster(t, dir);
    write('hang', '');
    await nextWorker(cluster, 'SIGKILL');
    const clients = await Promise.all(Array.from({ length: waiting }, () => client(cluster.port)));
    const lost = clients.map(({ answer }) => assert.rejects(answer));
    const began = performance.now();
    assert.equal((await cluster.stop()).code, 0);
    assert.ok(performance.now() - began < limit);
    await Promise.all(lost);
  });
}

import assert from 'node:assert/strict';
import test from 'node:test';
import { startCluster, type Scope } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { Client, mostWithin } from '../helpers/web-sockets.js';
import { withConfig } from '../helpers/with-config.js';

const start = (t: Scope, workers: number, graceful: object = {}) => startCluster(t, 'web-sockets', {
  flags: ['--config', withConfig(t, { workers, agent: false, plugins: { 'graceful-exit': graceful } })],
});

test('a reload does not wait for WebSockets: they work on, are told to go over moveWithin, and come back to the new worker', async (t) => {
  const cluster = await start(t, 1, { moveWithin: 6_000 });
  const clients = Array.from({ length: 60 }, () => new Client(cluster.port, '/quiet'));
  await Promise.all(clients.map(({ opened }) => opened));
  const { pid } = (await cluster.status()).workers[0]!;
  const began = performance.now();
  await cluster.run('reload');
  assert.ok(performance.now() - began < 4_000, `reload took ${performance.now() - began} ms`);
  const { workers: [worker], ducks: [duck] } = await cluster.status();
  assert.deepEqual([duck?.pid, duck?.streams], [pid, 0]);
  assert.match(cluster.output, /is out of its slot: it takes its leave of \d\d clients, within \d+ s/);
  assert.equal(await clients.at(-1)!.ask('still here?'), `${pid} still here?`);
  const fresh = new Client(cluster.port, '/quiet');
  await fresh.opened;
  assert.equal(await fresh.ask('new?'), `${worker?.pid} new?`);
  const ended = await Promise.all(clients.map((client) => client.ended));
  assert.ok(ended.every(({ code }) => code === 1012));
  assert.ok(mostWithin(ended.map(({ at }) => at), 500) <= 12);
  await eventually(async () => (await cluster.status()).ducks.length === 0);
  assert.equal((await cluster.status()).moved, 60);
  await cluster.stop();
  assert.equal((await fresh.ended).code, 1001);
});

test('a worker that gets SIGTERM, or is scaled away, says the same', async (t) => {
  const cluster = await start(t, 2, { moveWithin: 500 });
  const clients = Array.from({ length: 8 }, () => new Client(cluster.port, '/talks'));
  await Promise.all(clients.map(({ opened }) => opened));
  const [, second] = (await cluster.status()).workers;
  await cluster.run('scale', ['1']);
  await cluster.waitFor(/\(slot 1\) exited/);
  // How many each of the two had is the acceptor's business.
  await cluster.waitFor(() => clients.some(({ socket }) => socket.readyState === 3));
  assert.ok(clients.some(({ socket }) => socket.readyState === 1));
  process.kill((await cluster.status()).workers[0]!.pid, 'SIGTERM');
  const ended = await Promise.all(clients.map((client) => client.ended));
  assert.deepEqual(ended.map(({ code, broken }) => [code, broken]), ended.map(() => [1012, 0]));
  assert.notEqual((await cluster.status()).workers[0]?.pid, second?.pid);
  await cluster.stop();
});

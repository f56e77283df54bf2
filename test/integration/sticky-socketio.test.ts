import assert from 'node:assert/strict';
import test from 'node:test';
import { withoutNginx } from '../helpers/proxies.js';
import { SocketClients, sessionTrial, unknownSessions } from '../helpers/sticky-socketio.js';
import { stickyCluster } from '../helpers/sticky.js';

const trial = { clients: 40, reloads: 1, scale: [5, 3], kills: 1, upgradeTimeout: 200 };

test('Socket.IO, stock server and client: no session is lost but with its own worker', (t) =>
  sessionTrial(t, { ...trial, nginx: false }).then((report) => t.diagnostic(report)));

test('the same through nginx with kept connections', { skip: withoutNginx }, (t) =>
  sessionTrial(t, { ...trial, nginx: true }).then((report) => t.diagnostic(report)));

test('clients that only poll, and servers that only poll', async (t) => {
  const cluster = await stickyCluster(t, { mode: 'request', key: 'socket.io' }, { app: 'sticky-socketio', env: { TRANSPORTS: 'polling' } });
  const clients = new SocketClients(cluster.url, 24, { transports: ['polling'], pause: 50 });
  t.after(() => clients.close());
  assert.equal(await clients.settle(10_000), true);
  while (clients.echoes < 200) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal((await cluster.run('reload')).code, 0);
  assert.equal(await clients.settle(10_000), true);
  const before = clients.echoes;
  while (clients.echoes < before + 100) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(clients.strangers, 0);
  assert.deepEqual(unknownSessions(cluster.output), []);
  assert.doesNotMatch(JSON.stringify([...clients.errors]), /worker of this session/);
  const { workers } = await cluster.status();
  assert.ok(workers.some((worker) => (worker.sticky as { forwarded: number } | undefined)?.forwarded ?? 0 > 0));
});

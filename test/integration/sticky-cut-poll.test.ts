import assert from 'node:assert/strict';
import http from 'node:http';
import test, { type TestContext } from 'node:test';
import { eventually } from '../helpers/eventually.js';
import { ask, stickyCluster } from '../helpers/sticky.js';

const POLL = '/socket.io/?EIO=4&transport=polling';
/** Engine.IO's packets: the answer to a ping, which changes nothing, and Socket.IO's greeting. */
const PONG = '3';
const CONNECT = '40';

/** A session, and a poll of it that waits, sent on by another worker than its own. */
async function waitingPoll(t: TestContext) {
  const cluster = await stickyCluster(t, { mode: 'request', key: 'socket.io' }, { app: 'sticky-socketio' });
  // One kept connection each, hence one worker that accepts all that it carries.
  const clients = await Promise.all(Array.from({ length: 24 }, async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    return { agent, pid: (await ask(cluster, '/', { agent })).pid };
  }));
  const own = clients[0]!;
  const sender = clients.find(({ pid }) => pid !== own.pid)!;
  const { sid } = JSON.parse((await ask(cluster, POLL, { agent: own.agent })).text.slice(1)) as { sid: string };
  const url = `${POLL}&sid=${sid}`;
  const ended = ask(cluster, url, { agent: sender.agent }).then(() => 'answered', () => 'cut');
  await eventually(async () => (await cluster.status()).workers.some(({ pid, sticky }) =>
    pid === own.pid && (sticky as { received: number } | undefined)?.received === 1), 5_000);
  return { cluster, sender, ended, url };
}

test('a poll is cut because the worker that sent it on dies: the session lives, and is answered at its next poll', async (t) => {
  const { cluster, sender, ended, url } = await waitingPoll(t);
  process.kill(sender.pid, 'SIGKILL');
  assert.equal(await ended, 'cut');
  await cluster.waitFor(/app_worker#5:\d+ .*started/);
  assert.equal((await ask(cluster, url, { body: CONNECT })).status, 200);
  const { status, text } = await ask(cluster, url);
  assert.equal(status, 200);
  assert.match(text, /^40\{"sid"/);
});

test('a client that leaves its poll ends its session, also where another worker had sent it on', async (t) => {
  const { cluster, sender, ended, url } = await waitingPoll(t);
  assert.equal((await ask(cluster, url, { body: PONG })).status, 200);
  sender.agent.destroy();
  assert.equal(await ended, 'cut');
  await eventually(async () => (await ask(cluster, url, { body: PONG })).status === 400, 3_000);
});

import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { RawConnection, requestHead } from '../helpers/raw-client.js';
import { SocketClients } from '../helpers/sticky-socketio.js';
import { withConfig } from '../helpers/with-config.js';

/** Without sticky-session. */
const start = (t: TestContext, env: Record<string, string> = {}) => startCluster(t, 'sticky-socketio', {
  flags: ['--config', withConfig(t, { workers: 1, agent: false, plugins: { 'graceful-exit': { moveWithin: 1_000 } } })], env,
});

test('polls of Socket.IO clients that wait hold up neither a reload nor a stop, and the clients come back at once', async (t) => {
  const cluster = await start(t);
  // None of them says anything.
  const clients = new SocketClients(cluster.url, 20, { transports: ['polling'], pause: 3_600_000 });
  t.after(() => clients.close());
  assert.equal(await clients.settle(10_000), true);
  const began = performance.now();
  assert.equal((await cluster.run('reload')).code, 0);
  await cluster.waitFor(/moved 20 polling sessions to other workers; the oldest: GET \/socket\.io\/, /);
  assert.ok(performance.now() - began < 10_000, `${performance.now() - began} ms`);
  await eventually(() => clients.errors.get('disconnect: transport close') === 20);
  assert.equal(await clients.settle(10_000), true);
  assert.deepEqual([...clients.errors].filter(([what]) => /xhr poll error|400/.test(what)), []);
});

/** A session that has heard all that there is to hear at its beginning. */
async function session(t: TestContext, port: number, version: string): Promise<{ poll(): Promise<string> }> {
  const connection = new RawConnection({ port });
  t.after(() => connection.destroy());
  const say = async (method: string, sid: string, body = ''): Promise<string> => {
    const path = `/socket.io/?EIO=${version}&transport=polling${sid && `&sid=${sid}`}`;
    const head = requestHead(method, path, { 'Content-Length': String(body.length) });
    return (await connection.send(head + body, [method], 20_000)[0]!).body.toString();
  };
  const sid = /"sid":"([^"]+)"/.exec(await say('GET', ''))?.[1] ?? '';
  if (version === '4') await say('POST', sid, '40');
  for (let heard = ''; !heard.includes('hello');) heard += await say('GET', sid);
  return { poll: () => say('GET', sid) };
}

test('a stop ends them in their own words, in each version of the protocol', async (t) => {
  const cluster = await start(t, { OLD_CLIENTS: 'yes' });
  const sessions = await Promise.all(['4', '3'].map((version) => session(t, cluster.port, version)));
  const ends = sessions.map(({ poll }) => poll());
  const began = performance.now();
  assert.equal((await cluster.stop()).code, 0);
  assert.deepEqual(await Promise.all(ends), ['1', '1:1']);
  assert.ok(performance.now() - began < 8_000, `${performance.now() - began} ms`);
  assert.match(cluster.output, /ended 2 polling sessions, to be opened again; /);
});

import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import test from 'node:test';
import { ask, stickyCluster, type Who } from '../helpers/sticky.js';

test('a key in header, cookie or query leads to one worker, over whatever connection it comes; '
  + 'without one all stay where they are', async (t) => {
  for (const [key, request] of [
    [{ header: 'X-Client' }, (id: string) => ({ url: '/count', headers: { 'x-client': id } })],
    [{ cookie: 'sid' }, (id: string) => ({ url: '/count', headers: { cookie: `a=b; sid=${id}` } })],
    [{ query: 'client' }, (id: string) => ({ url: `/count?x=1&client=${id}`, headers: {} })],
  ] as [object, (id: string) => { url: string; headers: http.OutgoingHttpHeaders }][]) {
    const cluster = await stickyCluster(t, { mode: 'request', key });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
    t.after(() => agent.destroy());
    const slots = new Set<number>();
    for (let client = 0; client < 12; client++) {
      const { url, headers } = request(`client-${client}`);
      const answers: Who[] = [];
      for (let n = 0; n < 3; n++) answers.push(await ask(cluster, url, { headers }), await ask(cluster, url, { headers, agent }));
      assert.deepEqual(answers.map((one) => one.count), [1, 2, 3, 4, 5, 6]);
      slots.add(answers[0]!.slot);
    }
    assert.equal(slots.size, 4);
    const anyone = await Promise.all(Array.from({ length: 40 }, () => ask(cluster, '/')));
    assert.equal(new Set(anyone.map((one) => one.slot)).size, 4);
  }
});

test('what the app sees is the client\'s: address, url, headers; nothing of the way, '
  + 'and nobody outside can claim to be on it', async (t) => {
  const cluster = await stickyCluster(t, { mode: 'request', key: { header: 'x-client' }, forwardedFor: false });
  const slots = new Set<number>();
  for (let n = 0; n < 16; n++) {
    const from = `127.0.5.${n + 1}`;
    const answer = await ask(cluster, '/a%20b?c=d', { from, headers: {
      'x-client': `c${n}`, 'X-Hatchery-Hop': JSON.stringify({ server: String(cluster.port), ends: { remoteAddress: '6.6.6.6' } }),
      'X-Own': 'kept',
    } });
    assert.equal(answer.remote.replace('::ffff:', ''), from);
    assert.equal(answer.url, '/a%20b?c=d');
    assert.equal(answer.headers['x-own'], 'kept');
    assert.equal(answer.headers['x-forwarded-for'], undefined);
    assert.equal(answer.headers['x-hatchery-hop'], undefined);
    slots.add(answer.slot);
  }
  assert.equal(slots.size, 4);
});

test('the last X-Forwarded-For is ours where that is asked for, wherever the request is answered, and in several lines', async (t) => {
  const cluster = await stickyCluster(t, { mode: 'request', key: { header: 'x-client' }, forwardedFor: true }, { config: { workers: 2 } });
  const seen = new Set<string | undefined>();
  for (let n = 0; n < 16; n++) {
    const lines = [['192.0.2.1', '198.51.100.7'], ['192.0.2.1, 198.51.100.7'], []][n % 3];
    const headers = { 'x-client': `c${n}`, ...(lines?.length ? { 'x-forwarded-for': lines as unknown as string } : {}) };
    seen.add((await ask(cluster, '/', { headers })).headers['x-forwarded-for']);
  }
  assert.deepEqual([...seen].sort(), ['127.0.0.1', '192.0.2.1, 198.51.100.7, 127.0.0.1']);
});

test('several cookies, event streams, 100-continue and early client ends pass through', async (t) => {
  const cluster = await stickyCluster(t, { mode: 'request', key: { header: 'x-client' } }, { config: { workers: 2 } });
  for (let n = 0; n < 6; n++) {
    const headers = { 'x-client': `c${n}` };
    assert.deepEqual((await ask(cluster, '/cookie', { headers })).answer['set-cookie'], ['a=1', 'b=2']);
    const body = 'x'.repeat(10_000);
    const continued = await new Promise<string>((resolve, reject) => {
      const request = http.request({
        port: cluster.port, host: '127.0.0.1', path: '/upload', method: 'POST', agent: false,
        headers: { ...headers, expect: '100-continue', 'content-length': body.length },
      }, (response) => {
        response.setEncoding('utf8').once('data', resolve);
      });
      request.on('continue', () => request.end(body));
      request.on('error', reject);
      request.flushHeaders();
    });
    assert.equal((JSON.parse(continued) as Who).length, body.length);
    await new Promise<void>((resolve, reject) => {
      const request = http.get({ port: cluster.port, host: '127.0.0.1', path: '/events', agent: false, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
          if (/ 3\n/.test(text)) {
            request.destroy();
            resolve();
          }
        });
      });
      request.on('error', reject);
    });
  }
});

test('an upgrade becomes a pipe to the owner, with what the client sent along', async (t) => {
  const cluster = await stickyCluster(t, { mode: 'request', key: { query: 'client' } });
  const slots = new Set<string>();
  for (let n = 0; n < 12; n++) {
    const socket = net.connect({ port: cluster.port, host: '127.0.0.1', localAddress: `127.0.6.${n + 1}` });
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; });
    socket.write(`GET /?client=${n} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly`);
    const until = async (pattern: RegExp) => {
      while (!pattern.test(text)) await new Promise((resolve, reject) => {
        socket.once('data', resolve);
        socket.once('close', () => reject(new Error(text)));
      });
      return pattern.exec(text)!;
    };
    await until(/early/);
    socket.write('later');
    await until(/later/);
    slots.add((/X-Slot: (\d)/.exec(text))![1]!);
    assert.match(text, new RegExp(`X-Remote: ::ffff:127\\.0\\.6\\.${n + 1}\\r`));
    socket.end();
    await new Promise((resolve) => socket.once('close', resolve));
  }
  assert.equal(slots.size, 4);
});

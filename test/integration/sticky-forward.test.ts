import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import { descriptors } from '../helpers/cluster.js';
import { stickyCluster } from '../helpers/sticky.js';

const CLIENTS = ['k0', 'k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7'];

/** The bytes of an answer to these bytes, on a connection of their own, up to what `end` matches. */
function answerTo(port: number, bytes: string, end: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1').setEncoding('latin1');
    let text = '';
    const done = (result: () => void) => {
      clearTimeout(timer);
      socket.destroy();
      result();
    };
    const timer = setTimeout(() => done(() => reject(new Error(`no ${String(end)} in ${text}`))), 5_000);
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (end.test(text)) done(() => resolve(text));
    });
    socket.on('error', (error) => done(() => reject(error)));
    socket.on('close', () => done(() => reject(new Error(`closed: ${text}`))));
    socket.write(bytes, 'latin1');
  });
}

test('what is forwarded loses nothing on its way: trailers, old clients, many headers, other letters, 1xx', async (t) => {
  const { port } = await stickyCluster(t, { mode: 'request', key: { header: 'x-client' } });
  for (const client of CLIENTS) {
    const head = `Host: x\r\nX-Client: ${client}\r\n`;
    const trailers = await answerTo(port, `POST /upload HTTP/1.1\r\n${head}Trailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n`
      + '3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n', /\}$/);
    assert.match(trailers, /"trailers":\{"x-sum":"7"\}/);
    // Without a Host, as HTTP/1.0 allows.
    assert.match(await answerTo(port, `GET / HTTP/1.0\r\nX-Client: ${client}\r\n\r\n`, /\}$/), /^HTTP\/1\.1 200 /);
    // From Node 22 on the client's own server says that these are too many.
    assert.match(await answerTo(port, `GET / HTTP/1.1\r\n${head}${'a:1\r\n'.repeat(2_400)}\r\n`, /\r\n\r\n/), /^HTTP\/1\.1 (200|431) /);
    assert.match(await answerTo(port, `GET /latin1 HTTP/1.1\r\n${head}\r\n`, /x\r\n0\r\n\r\n$/), /x-name: caf\xe9\r\n/);
    assert.match(await answerTo(port, `GET /processing HTTP/1.1\r\n${head}\r\n`, /\}$/),
      /^HTTP\/1\.1 102 Processing\r\n\r\nHTTP\/1\.1 200 /);
  }
});

test('framings that contradict each other are refused, and a hop from outside is no hop', async (t) => {
  const { port } = await stickyCluster(t, { mode: 'request', key: { header: 'x-client' } });
  for (const client of CLIENTS) {
    const head = `Host: x\r\nX-Client: ${client}\r\n`;
    for (const framing of [
      'Content-Length: 3\r\nTransfer-Encoding: chunked', 'Content-Length: 3\r\nContent-Length: 4',
      'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity', 'X-Fold: a\r\n b',
    ]) {
      assert.match(await answerTo(port, `POST /upload HTTP/1.1\r\n${head}${framing}\r\n\r\n0\r\n\r\n`, /\r\n\r\n/), /^HTTP\/1\.1 400 /);
    }
    const hop = await answerTo(port, `GET / HTTP/1.1\r\n${head}`
      + `X-Hatchery-Hop: {"server":"${port}","ends":{"remoteAddress":"6.6.6.6"}}\r\nx-hatchery-hop: {}\r\n\r\n`, /\}$/);
    assert.match(hop, /"remote":"::ffff:127\.0\.0\.1"/);
  }
});

test('clients that leave in the middle leave nothing open between workers', async (t) => {
  const cluster = await stickyCluster(t, { mode: 'request', key: { header: 'x-client' } });
  const pids = cluster.workerPids();
  const open = () => pids.reduce((sum, pid) => sum + descriptors(pid), 0);
  const before = open();
  const head = (n: number) => `Host: x\r\nX-Client: k${n % 8}\r\n`;
  const leaving = [
    // Answered before its body was there, and the rest never comes.
    (n: number) => `POST / HTTP/1.1\r\n${head(n)}Content-Length: 1000000\r\n\r\n${'x'.repeat(1_000)}`,
    (n: number) => `GET / HTTP/1.1\r\n${head(n)}\r\n`.repeat(20),
    (n: number) => `GET /slow?ms=100 HTTP/1.1\r\n${head(n)}\r\nGET /download?bytes=1000000 HTTP/1.1\r\n${head(n)}\r\n`,
  ];
  await Promise.all(Array.from({ length: 120 }, (_, n) => new Promise<void>((resolve) => {
    const socket = net.connect(cluster.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.write((leaving[n % leaving.length] as (n: number) => string)(n));
    if (n % leaving.length === 0) socket.once('data', () => socket.resetAndDestroy());
    else setTimeout(() => socket.resetAndDestroy(), n % 10);
  })));
  // Idle connections between workers are kept, at most 64 to each of the three others, and seen from both ends.
  await cluster.waitFor(() => open() < before + 4 * 3 * 64 * 2, 3_000);
  const stopped = performance.now();
  assert.equal((await cluster.stop()).code, 0);
  assert.ok(performance.now() - stopped < 5_000, `the stop took ${Math.round(performance.now() - stopped)} ms`);
});

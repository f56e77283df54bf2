import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';
import test, { type TestContext } from 'node:test';
import tls from 'node:tls';
import { setTimeout as delay } from 'node:timers/promises';
import { descriptors } from '../helpers/cluster.js';
import { v1, v2 } from '../helpers/proxy-protocol.js';
import { stickyCluster, type Who } from '../helpers/sticky.js';

interface Send { from?: string; secure?: boolean; dribble?: boolean; deadline?: number }

/** Sends bytes, then a request, and reads the answer to its end. Rejects when the connection ends without one. */
async function send(
  port: number, first: Buffer, request: Buffer | string,
  { from = '127.0.0.1', secure = false, dribble = false, deadline = 5_000 }: Send = {},
): Promise<string> {
  const socket = net.connect({ port, host: '127.0.0.1', localAddress: from });
  socket.setNoDelay(true);
  const ends = new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error('no answer'));
    }, deadline);
    const read = (stream: net.Socket) => {
      let text = '';
      stream.setEncoding('latin1').on('data', (chunk: string) => { text += chunk; });
      stream.on('close', () => {
        clearTimeout(timer);
        if (text) resolve(text);
        else reject(new Error('closed'));
      });
      stream.on('error', () => {});
    };
    if (secure) {
      socket.write(first);
      const encrypted = tls.connect({ socket, rejectUnauthorized: false });
      encrypted.write(request);
      read(encrypted);
    } else {
      read(socket);
      if (!dribble) socket.write(Buffer.concat([first, Buffer.from(request)]));
    }
  });
  if (dribble) {
    for (const byte of first) {
      socket.write(Buffer.from([byte]));
      await delay(1);
    }
    socket.write(request);
  }
  return ends;
}

const GET = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
const who = (answer: string): Who =>
  JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4).replace(/^[0-9a-f]+\r\n|\r\n0\r\n\r\n$/g, '')) as Who;
const trusting = (t: TestContext, more: object = {}) =>
  stickyCluster(t, { proxyProtocol: true, trustedProxies: ['127.0.0.1', '127.8.0.0/16'], headerTimeout: 600, ...more });

test('the header of a trusted proxy decides the slot, and the app sees the client; versions 1 and 2, IPv4 and IPv6', async (t) => {
  const { port } = await trusting(t);
  const slots = new Set<number>();
  for (let n = 0; n < 24; n++) {
    const four = `192.0.2.${n}`;
    const six = `2001:db8:0:${(n + 1).toString(16)}::5`;
    const [a, b, c, d] = await Promise.all([
      send(port, v1(four, 1_000 + n), GET), send(port, v2(four, 2_000), GET, { from: '127.8.1.1' }), send(port, v1(six, 3_000), GET),
      send(port, v2(six, 4_000), GET),
    ]);
    assert.equal(who(a!).slot, who(b!).slot);
    assert.equal(who(c!).slot, who(d!).slot);
    assert.equal(who(a!).remote, four);
    assert.deepEqual([who(c!).remote, who(d!).remote], [six, six]);
    slots.add(who(a!).slot).add(who(c!).slot);
  }
  assert.equal(slots.size, 4);
});

test('byte by byte, and with a body right behind: nothing is lost', async (t) => {
  const { port } = await trusting(t);
  assert.equal(who(await send(port, v1('192.0.2.200', 1), GET, { dribble: true })).remote, '192.0.2.200');
  const body = randomBytes(256 * 1024);
  const upload = Buffer.concat([
    Buffer.from(`POST /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`), body,
  ]);
  const sha1 = createHash('sha1').update(body).digest('hex');
  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all([v1, v2].map((header) => send(port, header(`192.0.2.${round}`, 7), upload)));
    for (const answer of answers) assert.equal(who(answer).sha1, sha1);
  }
});

test('an untrusted peer\'s header is not believed: the worker sees it and says 400', async (t) => {
  const { port } = await trusting(t);
  assert.match(await send(port, v1('192.0.2.1', 1), GET, { from: '127.9.0.1' }), /^HTTP\/1\.1 400 /);
  assert.match(await send(port, v2('192.0.2.1', 1), GET, { from: '127.9.0.1' }), /^HTTP\/1\.1 400 /);
  assert.equal(who(await send(port, Buffer.alloc(0), GET, { from: '127.9.0.1' })).remote.replace('::ffff:', ''), '127.9.0.1');
});

test('malformed, missing, slow, oversized and reset headers are ended and cost nothing', async (t) => {
  const cluster = await trusting(t);
  const { port } = cluster;
  // Each worker's pipe for connections comes with the first of them.
  for (let n = 0; n < 32; n++) await send(port, v1(`192.0.2.${n}`, 1), GET);
  const before = descriptors(cluster.pid);
  for (const bytes of [
    Buffer.from(GET), v2('192.0.2.1', 1, { command: 0x31 }), v2('192.0.2.1', 1, { extension: Buffer.alloc(9_000) }),
    Buffer.from(`PROXY TCP4 ${'1'.repeat(300)}`),
  ]) {
    await assert.rejects(send(port, bytes, ''), /closed/);
  }
  const started = performance.now();
  await Promise.all([Buffer.alloc(0), v1('192.0.2.1', 1).subarray(0, 20), v2('192.0.2.1', 1).subarray(0, 14)]
    .map((bytes) => assert.rejects(send(port, bytes, '', { deadline: 3_000 }), /closed/)));
  assert.ok(performance.now() - started < 2_000);
  for (let n = 0; n < 50; n++) {
    const socket = net.connect({ port, host: '127.0.0.1' }).on('error', () => {});
    await new Promise((resolve) => socket.once('connect', resolve));
    if (n % 2) socket.write('PROXY');
    socket.resetAndDestroy();
  }
  await cluster.waitFor(() => descriptors(cluster.pid) <= before + 2, 3_000);
  assert.match(cluster.output, /WARN .*connection of proxy 127\.0\.0\.1 closed/);
  assert.equal(who(await send(port, v1('192.0.2.1', 1), GET)).remote, '192.0.2.1');
  await cluster.stop();
  await cluster.assertNothingLeft();
});

test('https behind it: the TLS server gets a whole handshake, the app the client\'s address', async (t) => {
  const { port } = await stickyCluster(t, { proxyProtocol: true, trustedProxies: ['127.0.0.0/8'] }, { app: 'sticky-https' });
  for (let n = 0; n < 8; n++) {
    const answer = who(await send(port, v2(`192.0.2.${n}`, 5), GET, { secure: true }));
    assert.equal(answer.remote, `192.0.2.${n}`);
    assert.equal(answer.encrypted, true);
  }
});

import assert from 'node:assert/strict';
import http2 from 'node:http2';
import test from 'node:test';
import tls from 'node:tls';
import { ask, stickyCluster, type Who } from '../helpers/sticky.js';

test('HTTP/2 and HTTPS in front: every stream reaches its owner, uploads and cookies included', async (t) => {
  const cluster = await stickyCluster(t, { mode: 'request', key: { header: 'x-client' } }, { app: 'sticky-https' });
  const session = http2.connect(`https://127.0.0.1:${cluster.port}`, { rejectUnauthorized: false }).on('error', () => {});
  t.after(() => session.destroy());
  type Answer = { headers: http2.IncomingHttpHeaders; text: string };
  const get = (path: string, client: string, body?: Buffer) => new Promise<Answer>((resolve, reject) => {
    const stream = session.request({ ':path': path, ':method': body ? 'POST' : 'GET', 'x-client': client });
    let headers: http2.IncomingHttpHeaders = {};
    let text = '';
    stream.on('response', (found) => { headers = found; });
    stream.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; });
    stream.on('end', () => resolve({ headers, text }));
    stream.on('error', reject);
    stream.end(body);
  });
  const slots = new Map<string, number>();
  const body = Buffer.alloc(300_000, 'x');
  await Promise.all(Array.from({ length: 24 }, async (_, n) => {
    const client = `h${n}`;
    const [first, cookies, upload] = await Promise.all([get('/', client), get('/cookie', client), get('/upload', client, body)]);
    const who = JSON.parse(first.text) as Who;
    assert.equal(who.encrypted, true);
    assert.equal(who.remote.replace('::ffff:', ''), '127.0.0.1');
    assert.deepEqual(cookies.headers['set-cookie'], ['a=1', 'b=2']);
    assert.deepEqual([(JSON.parse(upload.text) as Who).length, (JSON.parse(upload.text) as Who).slot], [body.length, who.slot]);
    assert.equal(who.headers.host ?? who.headers[':authority'], `127.0.0.1:${cluster.port}`);
    slots.set(client, who.slot);
  }));
  assert.equal(new Set(slots.values()).size, 4);
  for (const [client, slot] of slots) await upgraded(cluster.port, client, slot);
  for (const [client, slot] of slots) assert.equal((await ask(cluster, '/', { secure: true, headers: { 'x-client': client } })).slot, slot);
});

/** An upgrade over TLS, and bytes there and back. */
async function upgraded(port: number, client: string, slot: number): Promise<void> {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; });
  socket.write(`GET / HTTP/1.1\r\nHost: x\r\nX-Client: ${client}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello`);
  const deadline = AbortSignal.timeout(5_000);
  while (!text.endsWith('hello')) await new Promise((resolve, reject) => {
    socket.once('data', resolve);
    deadline.onabort = () => reject(new Error(`no echo: ${text}`));
  });
  assert.match(text, new RegExp(`X-Slot: ${slot}\\r`));
  socket.destroy();
}

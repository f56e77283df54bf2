import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import type { Scope } from '../helpers/cluster.js';
import { startDev } from '../helpers/dev.js';

/** One client with one connection, which it keeps as a browser does; a connection that was closed is made anew. */
function keeping(scope: Scope, port: number, host = '127.0.0.1'): () => Promise<{ status: number; text: string }> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  scope.after(() => agent.destroy());
  return () => new Promise((resolve, reject) => {
    http.get({ agent, host, port }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    }).on('error', reject);
  });
}

const answers = (text: string) => `require('node:http').createServer((_, response) => response.end('${text}')).listen(process.env.PORT);`;
const withApp = (source: string) => ({ edit: (dir: string) => writeFileSync(path.join(dir, 'app.js'), source) });

test('a kept connection that asked nothing during a failure is answered by the mended app', { timeout: 20_000 }, async (t) => {
  const dev = await startDev(t, 'dev-app', withApp(answers('first')));
  const ask = keeping(t, dev.cluster.port);
  assert.equal((await ask()).text, 'first');
  dev.write('app.js', 'throw new Error("broken");');
  await dev.cluster.waitFor(/The app does not start: broken/);
  const from = dev.mark();
  dev.write('app.js', answers('second'));
  await dev.cluster.waitFor(/reloaded in/, 5_000, from);
  assert.deepEqual(await ask(), { status: 200, text: 'second' });
});

test('a kept connection whose new worker never becomes ready gets the page, not a reset', { timeout: 30_000 }, async (t) => {
  const dev = await startDev(t, 'dev-app', { ...withApp(answers('first')), flags: ['--start-timeout', '2000'] });
  const ask = keeping(t, dev.cluster.port);
  assert.equal((await ask()).text, 'first');
  dev.write('app.js', 'module.exports = () => new Promise(() => {});');
  // The old worker has heard of it, and gone.
  await dev.cluster.waitFor(/exited with code 0/);
  const { status, text } = await ask();
  assert.equal(status, 500);
  assert.match(text, /The app (?:does not start|is starting)/);
});

test('of two servers on one port each keeps its own connections', { timeout: 20_000 }, async (t) => {
  const both = (version: string) => `for (const host of ['127.0.0.1', '127.0.0.2']) {
  require('node:http').createServer((_, response) => response.end(host + ' ${version}')).listen(process.env.PORT, host);
}`;
  const dev = await startDev(t, 'dev-app', withApp(both('first')));
  const clients = ['127.0.0.1', '127.0.0.2'].map((host) => [host, keeping(t, dev.cluster.port, host)] as const);
  for (const [host, ask] of clients) assert.equal((await ask()).text, `${host} first`);
  const from = dev.mark();
  dev.write('app.js', both('second'));
  await dev.cluster.waitFor(/reloaded in/, 5_000, from);
  for (const [host, ask] of clients) assert.equal((await ask()).text, `${host} second`);
});

test('behind a PROXY header a kept connection keeps its client, and so its slot', { timeout: 20_000 }, async (t) => {
  const tells = (version: string) => `require('node:http').createServer((request, response) =>
  response.end([process.env.CLUSTER_SLOT, request.socket.remoteAddress, '${version}'].join(' '))).listen(process.env.PORT);`;
  const sticky = { proxyProtocol: true, trustedProxies: ['127.0.0.1'] };
  const dev = await startDev(t, 'dev-app', {
    edit: (dir) => {
      writeFileSync(path.join(dir, 'app.js'), tells('first'));
      writeFileSync(path.join(dir, '.clusterrc'), JSON.stringify({ workers: 3, plugins: { 'sticky-session': sticky } }));
    },
  });
  const clients = ['1.2.3.4', '5.6.7.8', '9.9.9.9'].map((address) => {
    const socket = net.connect(dev.cluster.port, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.write(`PROXY TCP4 ${address} 10.0.0.1 1234 80\r\n`);
    return { address, ask: () => new Promise<string>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('data', (data) => resolve(String(data).split('\r\n\r\n')[1] ?? ''));
      socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    }) };
  });
  const before = await Promise.all(clients.map(({ ask }) => ask()));
  for (const [at, { address }] of clients.entries()) assert.match(before[at] ?? '', new RegExp(`^\\d ${address} first$`));
  const from = dev.mark();
  dev.write('app.js', tells('second'));
  await dev.cluster.waitFor(/reloaded in/, 5_000, from);
  const after = await Promise.all(clients.map(({ ask }) => ask()));
  assert.deepEqual(after, before.map((one) => one.replace('first', 'second')));
});

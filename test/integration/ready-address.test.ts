import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort, startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';

/** `PORT` opens `after` ms later than the metrics. */
const metricsFirst = (after: number, where = 'process.env.PORT'): string => `
const http = require('node:http');
http.createServer((request, response) => response.end('metrics')).listen(process.env.METRICS);
setTimeout(() => http.createServer((request, response) => response.end('site')).listen(${where}), ${after});`;

for (const [name, where] of [['everywhere', 'process.env.PORT'], ['on a host of its own', 'process.env.PORT, "localhost"']] as const) {
  test(`a second port that opens first makes nobody ready, and is not the address that is told; the site listens ${name}`, async (t) => {
    const metrics = await freePort();
    const app = ownApp(t, { 'server.js': metricsFirst(600, where) });
    const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'], env: { METRICS: String(metrics) } });
    assert.match(cluster.output, new RegExp(`started on http://(127\\.0\\.0\\.1|\\[::1\\]):${cluster.port}`));
    const { address, addresses } = await cluster.status();
    assert.equal(addresses[0], address);
    assert.equal(addresses[1], `http://127.0.0.1:${metrics}`);
    assert.equal(addresses.length, 2);
    assert.equal((await get(String(address))).text, 'site');
  });
}

test('an app that listens elsewhere than a flag says counts after 5 s, once; whoever comes later need not wait', async (t) => {
  const elsewhere = await freePort();
  const code = 'require("node:http").createServer((_, response) => response.end("ok")).listen(process.env.ELSEWHERE);';
  const app = ownApp(t, { 'server.js': code });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'], env: { ELSEWHERE: String(elsewhere) } });
  const started = /started on \S+ \((\d+)ms\)/.exec(cluster.output);
  assert.ok(Number(started?.[1]) >= 5_000, cluster.output);
  const line = new RegExp(`WARN .*does not listen on port ${cluster.port} \\(--port\\): it is taken as it is, on http://127.0.0.1:${elsewhere}`, 'g');
  assert.equal(cluster.output.match(line)?.length, 1, cluster.output);
  const begun = performance.now();
  assert.equal((await cluster.run('reload')).code, 0);
  assert.ok(performance.now() - begun < 4_500, 'both successors together');
  assert.equal(cluster.output.match(line)?.length, 1, 'not again');
});

test('where nobody names a port, what listens is the address as soon as nothing more does', async (t) => {
  const [metrics, site] = [await freePort(), await freePort()];
  const app = ownApp(t, { 'server.js': metricsFirst(150, site.toString()) });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '1'], port: false, env: { METRICS: String(metrics), PORT: undefined } });
  assert.doesNotMatch(cluster.output, /WARN/);
  assert.deepEqual((await cluster.status()).addresses.sort(), [metrics, site].map((port) => `http://127.0.0.1:${port}`).sort());
});

test('an export is served beside a server of the app\'s own for something else', async (t) => {
  const metrics = await freePort();
  const app = ownApp(t, { 'server.js': `
require('node:http').createServer((request, response) => response.end('metrics')).listen(process.env.METRICS);
module.exports = (request, response) => response.end('site');` });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '1'], env: { METRICS: String(metrics) } });
  assert.equal((await get(cluster.url)).text, 'site');
  assert.equal((await get(`http://127.0.0.1:${metrics}`)).text, 'metrics');
});

test('cleartext HTTP/2 is http', async (t) => {
  const app = ownApp(t, { 'server.js': `
const server = require('node:http2').createServer();
server.on('stream', (stream) => { stream.respond(); stream.end('ok'); });
server.listen(process.env.PORT);` });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '1'] });
  assert.equal((await cluster.status()).address, cluster.url);
});

test('a start that is given up says what was waited for, and what to say for an app without a server', async (t) => {
  const app = ownApp(t, { 'server.js': 'setInterval(() => {}, 1_000);' });
  const flags = ['-w', '1', '--start-timeout', '800'];
  const silent = await startCluster(t, app.dir, { flags, ready: false });
  assert.equal((await silent.ended()).code, 1);
  const hint = 'or its start hangs; an app without a server says `server: false`';
  assert.match(silent.output, new RegExp(`it never listened on port ${silent.port}, ${hint}`));

  const metrics = await freePort();
  app.write('server.js', metricsFirst(60_000));
  const other = await startCluster(t, app.dir, { flags, ready: false, env: { METRICS: String(metrics) } });
  assert.equal((await other.ended()).code, 1);
  assert.match(other.output, new RegExp(`it listens on \\*:${metrics}, and not on port ${other.port}`));
});

test('a server that was closed again is not the address, and leaves it free for another process', async (t) => {
  const other = await freePort();
  const app = ownApp(t, { 'server.js': `
const http = require('node:http');
const { spawn } = require('node:child_process');
const first = http.createServer(() => {}).listen(${other}, () => first.close(() => {
  spawn(process.execPath, ['-e', 'require("node:http").createServer((_, r) => r.end("child")).listen(${other})'], { stdio: 'inherit' });
}));
http.createServer((request, response) => response.end('site')).listen(process.env.PORT);` });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '1'] });
  await eventually(async () => (await get(`http://127.0.0.1:${other}`).catch(() => ({ text: '' }))).text === 'child');
  assert.deepEqual((await cluster.status()).addresses, [cluster.url]);
});

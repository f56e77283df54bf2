import assert from 'node:assert/strict';
import net from 'node:net';
import { networkInterfaces } from 'node:os';
import { test, type TestContext } from 'node:test';
import { freePort, startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { Load } from '../helpers/load.js';
import { ownApp } from '../helpers/own-app.js';
import { readySoak } from '../soak/ready.js';

/** Answers with its path, as the load wants it. */
const http = 'const http = require("node:http"); const echo = () => http.createServer((request, response) => response.end(request.url));\n';

const loadOn = (t: TestContext, port: number, host?: string): Load =>
  new Load({ keepAlive: 2, perConnection: 2 }, { http: { port, ...(host ? { host } : {}) }, pause: 3 }, t);

const refused = (port: number, host = '127.0.0.1'): Promise<boolean> => new Promise((resolve) => {
  const socket = net.connect(port, host);
  socket.once('connect', () => {
    socket.destroy();
    resolve(false);
  }).once('error', () => resolve(true));
});

test('a reload waits for what its predecessors serve beside the configured port: nothing is lost on either', async (t) => {
  const admin = await freePort();
  const app = ownApp(t, { 'server.js': `${http}
echo().listen(process.env.PORT);
setTimeout(() => echo().listen(process.env.ADMIN), 700);` });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'], env: { ADMIN: String(admin) } });
  await eventually(async () => (await cluster.status()).addresses.length === 2);
  const loads = [loadOn(t, cluster.port), loadOn(t, admin)];
  assert.equal((await cluster.run('reload')).code, 0);
  for (const load of loads) {
    await load.stop();
    assert.equal(load.lost, 0, load.report());
    assert.ok(load.answered > 100);
  }
  assert.doesNotMatch(cluster.output, /WARN/);
});

test('what the new code does not open any more is named once, and let go', async (t) => {
  const admin = await freePort();
  const app = ownApp(t, { 'server.js': `${http} echo().listen(process.env.PORT); echo().listen(process.env.ADMIN);` });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'], env: { ADMIN: String(admin) } });
  const load = loadOn(t, cluster.port);
  app.write('server.js', `${http} echo().listen(process.env.PORT);`);
  const begun = performance.now();
  assert.equal((await cluster.run('reload')).code, 0);
  const took = performance.now() - begun;
  assert.ok(took > 5_000 && took < 9_500, `${took}: the first of the new workers waits, and no other`);
  assert.equal(cluster.output.match(new RegExp(`does not listen on \\*:${admin}, as those before it did: let go`, 'g'))?.length, 1);
  await eventually(() => refused(admin));
  await load.stop();
  assert.equal(load.lost, 0, load.report());
  assert.deepEqual((await cluster.status()).addresses, [cluster.url]);
});

test('new code that does not listen on the configured port aborts the reload, and the old serve on', async (t) => {
  const other = await freePort();
  const app = ownApp(t, { 'server.js': `${http} echo().listen(process.env.PORT);` });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '2', '--start-timeout', '6000'], env: { OTHER: String(other) } });
  const load = loadOn(t, cluster.port);
  app.write('server.js', `${http} echo().listen(process.env.OTHER);`);
  const { code, stderr, stdout } = await cluster.run('reload');
  assert.equal(code, 1);
  assert.match(stdout + stderr, new RegExp(`it listens on \\*:${other}, and not on port ${cluster.port}`));
  await load.stop();
  assert.equal(load.lost, 0, load.report());
});

test('an app that listens, and then fails its start, has been given no request', async (t) => {
  const app = ownApp(t, { 'server.mjs': `import http from 'node:http';
http.createServer((request, response) => response.end(request.url)).listen(process.env.PORT);` });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'] });
  const load = loadOn(t, cluster.port);
  app.write('server.mjs', `import http from 'node:http';
http.createServer((request, response) => response.end('too early')).listen(process.env.PORT);
await new Promise((resolve) => setTimeout(resolve, 700));
throw new Error('no database');`);
  const { code, stderr, stdout } = await cluster.run('reload');
  assert.equal(code, 1);
  assert.match(stdout + stderr, /no database/);
  await load.stop();
  assert.equal(load.lost, 0, load.report());
});

test('a reload to another host of the same port: it is what the new code says as soon as all are of it', async (t) => {
  const outside = Object.values(networkInterfaces()).flat().find((one) => one?.family === 'IPv4' && !one.internal)?.address ?? '::1';
  const listening = (host: string) => `${http} echo().listen({ port: process.env.PORT${host} });`;
  const app = ownApp(t, { 'server.js': listening('') });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'] });
  assert.equal(await refused(cluster.port, outside), false);
  for (const [host, closed] of [[', host: "127.0.0.1"', true], [', host: "0.0.0.0"', outside === '::1'], ['', false]] as const) {
    app.write('server.js', listening(host));
    const { code, stdout, stderr } = await cluster.run('reload');
    assert.equal(code, 0, stdout + stderr);
    await eventually(async () => await refused(cluster.port, outside) === closed);
    assert.equal(await refused(cluster.port), false);
  }
  assert.doesNotMatch(cluster.output, /WARN|ERROR/);
});

test('the only worker dies, and its successor looks first whether the port is free: who comes meanwhile waits', async (t) => {
  const app = ownApp(t, { 'server.js': `
const http = require('node:http');
const net = require('node:net');
const server = http.createServer((request, response) => {
  if (request.url === '/die') process.exit(1);
  response.end(request.url);
});
const listen = () => server.listen(process.env.PORT);
const probe = net.createServer().listen(process.env.PORT, () => probe.close(() => setTimeout(listen, 400)));` });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '1'] });
  const from = cluster.output.length;
  const socket = net.connect(cluster.port, '127.0.0.1').on('error', () => {});
  socket.write('GET /die HTTP/1.1\r\nHost: x\r\n\r\n');
  await cluster.waitFor(/exited with code 1/, 5_000, from);
  const load = new Load({ perConnection: 3 }, { http: { port: cluster.port }, pause: 5 }, t);
  await cluster.waitFor(/\(slot 0\) started/, 5_000, from);
  await eventually(() => load.answered > 10);
  await load.stop();
  assert.equal(load.lost, 0, load.report());
  assert.doesNotMatch(cluster.output.slice(from), /WARN/);
});

test('apps that open a second port, look whether a port is free, listen late: reloads under load lose nothing', async (t) => {
  t.diagnostic(await readySoak(t, { reloads: 2, apps: 4 }));
});

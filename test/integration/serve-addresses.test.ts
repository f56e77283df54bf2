import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fixture, freePort, startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';

test('an app with two ports is ready when both listen', async (t) => {
  const admin = await freePort();
  const cluster = await startCluster(t, 'two-ports', { flags: ['-w', '2'], env: { ADMIN_PORT: String(admin) } });
  assert.equal((await get(cluster.url)).json.by, 'site');
  assert.equal((await get(`http://127.0.0.1:${admin}`)).json.by, 'admin');
  assert.equal((await cluster.stop()).code, 0);
  await assert.rejects(get(`http://127.0.0.1:${admin}`), { code: 'ECONNREFUSED' });
});

test('a unix socket path', async (t) => {
  const cluster = await startCluster(t, 'unix-path', { flags: ['-w', '2'], port: false, cwd: fixture('unix-path') });
  const socketPath = path.join(fixture('unix-path'), 'run/app.sock');
  assert.equal((await get('http://localhost/', { socketPath })).json.by, 'unix');
  assert.equal((await cluster.stop()).code, 0);
  assert.equal(existsSync(socketPath), false, 'the socket file is gone');
});

test('a unix socket that a killed master has left behind is replaced, one that is in use is not', async (t) => {
  const app = ownApp(t, { 'app.js': 'module.exports = (request, response) => response.end("{}");', '.clusterrc': { path: 'app.sock' } });
  const socketPath = path.join(app.dir, 'app.sock');
  const killed = await startCluster(t, app.dir, { flags: ['-w', '2'], port: false });
  killed.signal('SIGKILL');
  await killed.waitFor(() => killed.processes().length === 0);
  assert.equal(existsSync(socketPath), true);
  await startCluster(t, app.dir, { flags: ['-w', '3'], port: false });
  assert.equal((await get('http://localhost/', { socketPath })).status, 200);

  const second = await startCluster(t, app.dir, { flags: ['-w', '3'], port: false, ready: false });
  assert.equal((await second.ended()).code, 1);
  assert.match(second.output, /EADDRINUSE/);
  assert.equal((await get('http://localhost/', { socketPath })).status, 200);
});

test('an app that pays no heed to PORT is reported where it listens', async (t) => {
  const elsewhere = await freePort();
  const cluster = await startCluster(t, 'listen-elsewhere', { flags: ['-w', '2'], env: { ELSEWHERE: String(elsewhere) } });
  assert.match(cluster.output, new RegExp(`started on http://127\\.0\\.0\\.1:${elsewhere}`));
  assert.equal((await get(`http://127.0.0.1:${elsewhere}`)).json.by, 'elsewhere');
  assert.match(String((await cluster.status()).address), new RegExp(`:${elsewhere}`));
});

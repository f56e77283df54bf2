import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import test from 'node:test';
import { startCluster, type Scope } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';
import { unsuited } from '../helpers/skips.js';
import { withConfig } from '../helpers/with-config.js';

/** A server whose start takes until the file `slow` is gone; /die ends it. */
function slowApp(t: Scope) {
  return ownApp(t, {
    'package.json': { name: 'short' },
    'server.js': `const fs = require('fs');
const wait = setInterval(() => {
  if (fs.existsSync(__dirname + '/slow')) return;
  clearInterval(wait);
  require('http').createServer((q, s) => q.url === '/die' ? process.exit(3) : s.end('ok')).listen(process.env.PORT);
}, 20);`,
  });
}

interface Client { answered: Promise<string>; socket: net.Socket }

/** A request of its own connection; resolves with what came, or what went wrong. */
function client(port: number): Client {
  const socket = net.connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'));
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => { text += part; });
  const answered = new Promise<string>((resolve) => {
    socket.on('error', (error) => resolve(error.message)).on('close', () => resolve(text));
  });
  return { answered, socket };
}

const skip = process.platform === 'linux' ? false : unsuited.linux;

test('500 clients wait while the only worker is away: forks succeed, and all are answered', { skip }, async (t) => {
  const app = slowApp(t);
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '1'], descriptors: 64 });
  writeFileSync(`${app.dir}/slow`, '');
  await get(`${cluster.url}/die`).catch(() => {});
  await cluster.waitFor(/exited with code 3/);
  const clients = Array.from({ length: 500 }, () => client(cluster.port));
  await Promise.all(clients.map(({ socket }) => once(socket, 'connect')));
  await cluster.waitFor(/connections wait for a worker, as many as 64 descriptors allow: others wait until they are taken/);
  // The next one has to be forked with all of them there.
  const from = cluster.output.length;
  await cluster.waitFor(() => cluster.workerPids().length === 1);
  process.kill(cluster.workerPids()[0]!, 'SIGKILL');
  await cluster.waitFor(/was ended by SIGKILL/, 10_000, from);
  rmSync(`${app.dir}/slow`);
  const answers = await Promise.all(clients.map(({ answered }) => answered));
  assert.deepEqual([...new Set(answers.map((text) => text.split('\r\n')[0]))], ['HTTP/1.1 200 OK'], cluster.output);
  assert.doesNotMatch(cluster.output, /could not be forked|EMFILE/);
  assert.equal((await get(cluster.url)).status, 200);
  assert.equal((await cluster.stop()).code, 0);
});

test('an agent is forked again with as many clients waiting', { skip }, async (t) => {
  const app = slowApp(t);
  app.write('agent.js', 'module.exports = () => {};');
  const config = withConfig(t, { workers: 1, refork: { maxDelay: 200 } });
  const cluster = await startCluster(t, app.dir, { flags: ['--config', config], descriptors: 64 });
  writeFileSync(`${app.dir}/slow`, '');
  await get(`${cluster.url}/die`).catch(() => {});
  const clients = Array.from({ length: 200 }, () => client(cluster.port));
  await Promise.all(clients.map(({ socket }) => once(socket, 'connect')));
  await cluster.waitFor(/others wait until they are taken/);
  const from = cluster.output.length;
  process.kill((await cluster.status()).agent!.pid, 'SIGKILL');
  await cluster.waitFor(/agent_worker#2:\d+ started/, 10_000, from);
  rmSync(`${app.dir}/slow`);
  const answers = await Promise.all(clients.map(({ answered }) => answered));
  assert.ok(answers.every((text) => text.startsWith('HTTP/1.1 200')), cluster.output);
  assert.equal((await cluster.stop()).code, 0);
});

test('clients that wait and then vanish leave nothing behind, and it accepts again', { skip }, async (t) => {
  const app = slowApp(t);
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '1'], descriptors: 64 });
  writeFileSync(`${app.dir}/slow`, '');
  await get(`${cluster.url}/die`).catch(() => {});
  const clients = Array.from({ length: 300 }, () => client(cluster.port));
  await Promise.all(clients.map(({ socket }) => once(socket, 'connect')));
  await cluster.waitFor(/others wait until they are taken/);
  for (const { socket } of clients) socket.destroy();
  rmSync(`${app.dir}/slow`);
  for (let n = 0; n < 20; n++) assert.equal((await get(cluster.url)).status, 200);
  assert.equal((await cluster.stop()).code, 0);
});

test('a few clients at a limit that leaves hardly a fork: the only worker comes again, whatever waits', { skip }, async (t) => {
  const app = ownApp(t, {
    'package.json': { name: 'narrow' },
    'server.js': `const http = require('http');
http.createServer((q, s) => { if (q.url === '/die') process.exit(3); s.end('ok'); }).listen(process.env.PORT);`,
  });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '1'], descriptors: 36 });
  // One that keeps coming, as clients that try again do.
  let ended = false;
  const steady = Array.from({ length: 14 }, async () => {
    while (!ended) {
      const one = client(cluster.port);
      one.socket.setTimeout(2_000, () => one.socket.destroy());
      await one.answered;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
  t.after(() => { ended = true; });
  for (let round = 0; round < 3; round++) {
    const from = cluster.output.length;
    process.kill(cluster.workerPids()[0]!, 'SIGKILL');
    await cluster.waitFor(/slot 0\) started/, 10_000, from);
  }
  ended = true;
  await Promise.all(steady);
  assert.equal((await get(cluster.url)).status, 200);
  assert.equal((await cluster.stop()).code, 0);
});

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { startCluster, type TestCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';
import { unsuited } from '../helpers/skips.js';
import { UnreadPipe } from '../helpers/unread-pipe.js';

// Nobody reads what the master writes: a collector hangs, `| less` shows its first page.
const skip = process.platform === 'win32' && unsuited.linux;

/** A worker dies, which the master has a lot to say about, and the other one goes on; then both serve. */
async function loseAWorker(cluster: TestCluster): Promise<void> {
  const before = await cluster.status();
  const { pid } = (await get(`${cluster.url}/exit?code=1`)).json;
  // What it takes over between its answer and its exit goes with it.
  await eventually(() => !existsSync(`/proc/${String(pid)}/exe`));
  for (let i = 0; i < 4; i++) assert.equal((await get(cluster.url)).status, 200);
  await eventually(async () => {
    const { workers } = await cluster.status();
    return workers.filter(({ state }) => state === 'ready').length === 2 && workers.some(({ pid }, at) => pid !== before.workers[at]?.pid);
  });
}

/** SIGTERM is heard, and the cluster gone within the second that its idle connections have at most. */
async function endsSoon(t: TestContext, cluster: TestCluster): Promise<void> {
  const began = performance.now();
  const { code, at } = await cluster.stop();
  t.diagnostic(`${Math.round(at - began)} ms`);
  assert.equal(code, 0);
  assert.ok(at - began < 1_500, `${at - began} ms`);
  await cluster.assertNothingLeft();
}

const READY = /started on http/;
const DROPPED = /WARN \d+ \[master\] \d+ lines? dropped here: nobody read them for \d+ s\n/;

test('one pipe for all: the master goes on, and says what is missing when it is read again', { skip }, async (t) => {
  const pipe = new UnreadPipe(t);
  const cluster = await startCluster(t, 'life', { flags: ['-w', '2'], ready: false, stdio: ['ignore', pipe.fd, pipe.fd] });
  await pipe.seen(READY);
  pipe.fill();
  await loseAWorker(cluster);
  await pipe.seen(DROPPED);
  assert.equal(pipe.text.match(/dropped here/g)?.length, 1);
  pipe.fill();
  await endsSoon(t, cluster);
});

test('stderr alone is not read: stdout has its lines', { skip }, async (t) => {
  const [out, err] = [new UnreadPipe(t), new UnreadPipe(t)];
  const cluster = await startCluster(t, 'life', { flags: ['-w', '2'], ready: false, stdio: ['ignore', out.fd, err.fd] });
  await out.seen(READY);
  err.fill();
  await loseAWorker(cluster);
  await out.seen(/app_worker#3:\d+ .*started/);
  await err.seen(DROPPED);
  assert.doesNotMatch(out.text, /dropped/);
  err.fill();
  await endsSoon(t, cluster);
  assert.match(out.read(), /exit with code:0/);
});

test('as JSON too', { skip }, async (t) => {
  const pipe = new UnreadPipe(t);
  const flags = ['-w', '2', '--log-format', 'json'];
  const cluster = await startCluster(t, 'life', { flags, ready: false, stdio: ['ignore', pipe.fd, pipe.fd] });
  await pipe.seen(READY);
  const from = pipe.text.length;
  pipe.fill();
  await loseAWorker(cluster);
  await pipe.seen(/"level":"WARN",.*"message":"\d+ lines? dropped here: nobody read them for \d+ s"/);
  for (const line of pipe.text.slice(from).split('\n').filter(Boolean)) JSON.parse(line);
  await endsSoon(t, cluster);
});

test('workers that print a line for each request answer, and are replaced and stopped', { skip }, async (t) => {
  const pipe = new UnreadPipe(t);
  const app = ownApp(t, { 'server.js': `require('node:http').createServer((_, response) => {
    console.log('a'.repeat(1_000)); console.error('b'.repeat(1_000)); response.end('ok');
  }).listen(process.env.PORT);` });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '2'], ready: false, stdio: ['ignore', pipe.fd, pipe.fd] });
  await pipe.seen(READY);
  pipe.fill();
  for (let i = 0; i < 20; i++) assert.equal((await get(cluster.url, { deadline: 1_000 })).text, 'ok');
  const reload = cluster.run('reload');
  for (let i = 0; i < 20; i++) assert.equal((await get(cluster.url, { deadline: 1_000 })).text, 'ok');
  // Its old workers wait for the reader, six seconds.
  assert.equal((await reload).code, 0);
  for (let i = 0; i < 20; i++) assert.equal((await get(cluster.url, { deadline: 1_000 })).text, 'ok');
  await pipe.seen(/lines? dropped here/);
  cluster.signal('SIGTERM');
  await pipe.seen(/exit with code:0/);
  assert.equal((await cluster.ended()).code, 0);
});

/** A plugin that prints on and on, in the master. */
const chatty = {
  'server.js': 'require("node:http").createServer((_, response) => response.end("ok")).listen(process.env.PORT);',
  'chatty.mjs': `let n = 0;
    const print = () => { for (let i = 0; i < 50; i++) { console.log('plugin', n++); console.error('plugin', n++); } };
    export default { name: 'chatty', apply({ hooks }) { hooks.clusterReady.tap('chatty', () => setInterval(print, 20)); } };`,
  '.clusterrc': { plugins: { './chatty.mjs': true } },
};

/** Nobody reads; each answer comes in time. */
async function answersInTime(cluster: TestCluster): Promise<void> {
  let slowest = 0;
  for (const until = performance.now() + 1_500; performance.now() < until;) {
    const began = performance.now();
    assert.equal((await get(cluster.url)).text, 'ok');
    slowest = Math.max(slowest, performance.now() - began);
  }
  assert.ok(slowest < 500, `${slowest} ms`);
}

for (const command of ['start', 'dev'] as const) {
  test(`${command}: plugins that print wait for nobody either`, { skip }, async (t) => {
    const pipe = new UnreadPipe(t);
    const app = ownApp(t, chatty);
    const cluster = await startCluster(t, app.dir, { command, flags: ['-w', '1'], ready: false, stdio: ['ignore', pipe.fd, pipe.fd] });
    await pipe.seen(/plugin \d+/);
    pipe.fill();
    await answersInTime(cluster);
    await pipe.seen(/\d+ lines? dropped here/);
    pipe.fill();
    await endsSoon(t, cluster);
  });
}

test('a socket, as a parent that is Node gives it', { skip }, async (t) => {
  const cluster = await startCluster(t, ownApp(t, chatty).dir, { flags: ['-w', '2'] });
  await cluster.waitFor(/plugin \d+/);
  const streams = [cluster.process.stdout, cluster.process.stderr];
  for (const stream of streams) stream?.pause();
  await answersInTime(cluster);
  // A fork makes the socket a waiting one again, for all who share it.
  assert.equal((await cluster.run('reload')).code, 0);
  await answersInTime(cluster);
  const from = cluster.output.length;
  for (const stream of streams) stream?.resume();
  await cluster.waitFor(/\d+ lines? dropped here/, 5_000, from);
  for (const stream of streams) stream?.pause();
  // Who stalls only during the end gets six seconds.
  await answersInTime(cluster);
  await endsSoon(t, cluster);
});

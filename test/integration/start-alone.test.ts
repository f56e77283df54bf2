import assert from 'node:assert/strict';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fixture, freePort, run, startCluster, type ClusterOptions } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { Load } from '../helpers/load.js';
import { ownApp } from '../helpers/own-app.js';
import { once } from '../helpers/raw-client.js';

const KEPT = { headers: { Connection: 'keep-alive' } };
const FLAGS = ['--workers', '0'];
const TOLD = `export { default } from '${fixture('one-process/told.mjs')}';`;

const alone = (t: TestContext, target: string, { flags = [], ...options }: ClusterOptions = {}) =>
  startCluster(t, target, { ...options, flags: [...FLAGS, ...flags] });

async function told(port: number, where = '/'): Promise<Record<string, unknown>> {
  return JSON.parse((await once({ port }, 'GET', where, KEPT)).body.toString()) as Record<string, unknown>;
}

test('the app runs in the process of the command, and there is no other', async (t) => {
  const { dir } = ownApp(t, { '.clusterrc': { env: { FROM_CONFIG: 'yes' } }, 'app.mjs': TOLD });
  const cluster = await alone(t, dir, { flags: ['--', '--tenant', 'a'] });
  const { pid, argv, env, slot } = await told(cluster.port);
  assert.equal(pid, cluster.pid);
  assert.deepEqual(argv, [path.join(dir, 'app.mjs'), '--tenant', 'a']);
  assert.deepEqual(env, { NODE_ENV: 'production', PORT: String(cluster.port), FROM_CONFIG: 'yes' });
  assert.equal(slot, 0);
  assert.deepEqual(cluster.workerPids(), []);
  const status = await cluster.status();
  assert.deepEqual(status.workers, []);
  assert.equal(status.master.pid, cluster.pid);
  assert.equal(status.app?.pid, cluster.pid);
  assert.equal(status.app?.state, 'ready');
  assert.equal(status.address, `http://127.0.0.1:${cluster.port}`);
  assert.equal((await cluster.stop()).code, 0);
  assert.match(cluster.output, /^onClose$/m);
  await cluster.assertNothingLeft();
});

test('reload and scale are refused with a code, and nothing comes of signals that ask for them', async (t) => {
  const cluster = await alone(t, fixture('one-process/told.mjs'));
  for (const words of [['reload'], ['scale', '+1'], ['scale', '4']]) {
    const { code, stderr } = await cluster.run(words[0]!, words.slice(1));
    assert.equal(code, 1);
    assert.match(stderr, /^(reload|scale) refused: the app runs in the master's own process \(--workers 0\); /);
    assert.equal(stderr.trim().split('\n').length, 1);
  }
  for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGTTIN', 'SIGTTOU'] as const) {
    process.kill(cluster.pid, signal);
    await cluster.waitFor(new RegExp(`receive signal ${signal}`));
  }
  assert.equal((await told(cluster.port)).pid, cluster.pid);
  assert.doesNotMatch(cluster.output, /Debugger listening|worker#0|app_worker/);
  assert.match(cluster.output, / \[master\] the app started \(\d+ms\)$/m);
  assert.equal((await cluster.stop()).code, 0);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} answers what is in flight, under load`, async (t) => {
    const [https, http2] = [await freePort(), await freePort()];
    const cluster = await alone(t, 'drain-app', { env: { HTTPS_PORT: String(https), HTTP2_PORT: String(http2) } });
    const load = new Load({ slow: 12, stream: 6, upload: 2 }, { http: { port: cluster.port }, slow: 1_200 }, t);
    const secure = once({ port: https, secure: true }, 'GET', '/slow?ms=1200', KEPT);
    await delay(600);
    cluster.signal(signal);
    const stopped = load.stop();
    assert.equal((await secure).body.toString(), '/slow?ms=1200');
    await stopped;
    const { code } = await cluster.ended(10_000);
    assert.equal(code, 0, cluster.output);
    // Who comes after the port is closed is refused.
    const { lost } = load.tallies.slow;
    assert.equal(lost.reset + lost.truncated + lost.closed + lost.hang, 0, load.report());
    assert.equal(load.tallies.stream.lost.truncated, 0, load.report());
    await cluster.assertNothingLeft();
  });
}

for (const [mode, said] of Object.entries({ exit: 'app: SIGTERM', close: 'app: closed well', again: 'app: done' })) {
  test(`what the app does itself at SIGTERM waits for the answers: ${mode}`, async (t) => {
    const cluster = await alone(t, 'drain-handlers', { env: { MODE: mode } });
    const slow = once({ port: cluster.port }, 'GET', '/?ms=700', KEPT);
    await delay(100);
    cluster.signal('SIGTERM');
    assert.equal(Number((await slow).body), cluster.pid);
    assert.equal((await cluster.ended(5_000)).code, 0, cluster.output);
    assert.match(cluster.output, new RegExp(`^${said}$`, 'm'));
  });
}

test('a second signal hurries', async (t) => {
  const cluster = await alone(t, 'drain-app');
  const long = once({ port: cluster.port }, 'GET', '/slow?ms=60000', KEPT).then(() => 'answered', ({ kind }: { kind: string }) => kind);
  await delay(200);
  cluster.signal('SIGINT');
  await delay(700);
  cluster.signal('SIGINT');
  await cluster.ended(3_000);
  assert.notEqual(await long, 'answered');
});

test('an uncaught exception answers what is in flight, and the process ends with 1', async (t) => {
  const cluster = await alone(t, fixture('one-process/told.mjs'));
  const slow = told(cluster.port, '/?ms=600');
  await told(cluster.port, '/throw');
  assert.equal((await slow).pid, cluster.pid);
  assert.equal((await cluster.ended(5_000)).code, 1, cluster.output);
  assert.match(cluster.output, /uncaught exception: answering what is in flight, then exiting\nError: thrown on purpose/);
  await cluster.assertNothingLeft();
});

test('the request whose code has thrown is not waited for as long as others, since nobody else serves', async (t) => {
  const cluster = await alone(t, fixture('one-process/told.mjs'));
  const slow = told(cluster.port, '/?ms=2000');
  const lost = once({ port: cluster.port }, 'GET', '/lost', KEPT).then(() => 'answered', ({ kind }: { kind: string }) => kind);
  assert.equal((await slow).pid, cluster.pid);
  assert.equal((await cluster.ended(12_000)).code, 1, cluster.output);
  assert.equal(await lost, 'reset');
  assert.match(cluster.output, /the app exited with code 1 .*\(1 request cut\).*\n +GET \/lost, /);
});

test('process.exit of the app is the end of the process, and leaves no record', async (t) => {
  const cluster = await alone(t, fixture('one-process/told.mjs'));
  await told(cluster.port, '/exit').catch(() => {});
  assert.equal((await cluster.ended(5_000)).code, 3);
  await cluster.assertNothingLeft();
});

test('an app that does not start ends the command with 1 and its error', async (t) => {
  const cluster = await alone(t, 'throws', { ready: false });
  assert.equal((await cluster.ended(5_000)).code, 1, cluster.output);
  assert.match(cluster.output, /failed to start\nTypeError: /);
  await cluster.assertNothingLeft();
});

test('a signal that comes while the app starts ends it', async (t) => {
  const cluster = await alone(t, 'never-listens', { ready: false });
  await cluster.waitFor(/starts "/);
  await delay(300);
  cluster.signal('SIGTERM');
  assert.equal((await cluster.ended(5_000)).code, 0, cluster.output);
  await cluster.assertNothingLeft();
});

test('health port and metrics tell of the app', async (t) => {
  const port = await freePort();
  const { dir } = ownApp(t, {
    '.clusterrc': { plugins: { 'health-check': { port }, metrics: true } },
    'app.mjs': TOLD,
  });
  const cluster = await alone(t, dir);
  const url = `http://127.0.0.1:${port}`;
  assert.equal((await get(`${url}/readyz`)).status, 200);
  await eventually(async () => /^hatchery_worker_resident_memory_bytes\{slot="0"\} \d+$/m.test((await get(`${url}/metrics`)).text));
  const { text } = await get(`${url}/metrics`);
  assert.match(text, /^hatchery_workers_ready 1$/m);
  assert.match(text, /^hatchery_worker_state\{slot="0",state="ready"\} 1$/m);
  const slow = told(cluster.port, '/?ms=800');
  await delay(100);
  cluster.signal('SIGTERM');
  await delay(200);
  assert.equal((await get(`${url}/readyz`)).status, 503);
  await slow;
  assert.equal((await cluster.ended(5_000)).code, 0);
});

test('a plugin\'s master part runs in the process, and its own server is not drained', async (t) => {
  const port = await freePort();
  const { dir } = ownApp(t, {
    '.clusterrc': { plugins: { [fixture('one-process/plugin.mjs')]: { port } } },
    'app.mjs': TOLD,
  });
  const cluster = await alone(t, dir);
  const ask = async () => (await get(`http://127.0.0.1:${port}/`)).json;
  assert.deepEqual(await ask(), { pid: cluster.pid, heard: 1, state: 'running' });
  assert.equal((await cluster.status()).addresses.length, 1);
  const slow = told(cluster.port, '/?ms=800');
  await delay(100);
  cluster.signal('SIGTERM');
  await delay(200);
  assert.equal((await ask()).state, 'closing');
  await slow;
  assert.equal((await cluster.ended(5_000)).code, 0, cluster.output);
});

test('messages come round', async (t) => {
  const cluster = await alone(t, fixture('one-process/told.mjs'));
  await told(cluster.port, '/news');
  await eventually(async () => (await told(cluster.port)).heard === 'told');
  assert.equal((await told(cluster.port, '/ask')).sum, 3);
  assert.equal((await cluster.stop()).code, 0);
});

for (const [what, flags, files, said] of [
  ['an agent', [], { 'agent.js': '' }, /^--workers 0: an agent would be another process/],
  ['inspect', ['--inspect'], {}, /^--workers 0: --inspect is for a process that is yet to be started/],
  ['execArgv', [], { '.clusterrc': { execArgv: ['--expose-gc'] } }, /^--workers 0: `execArgv` is for a process that is yet/],
  ['sticky-session', ['--sticky'], {}, /^--workers 0: sticky-session has nothing to choose from/],
] as const) {
  test(`${what} is refused in one line`, async (t) => {
    const { dir } = ownApp(t, { 'app.js': 'require("http").createServer().listen(process.env.PORT)', ...files });
    const { code, stderr } = await run(['start', dir, ...FLAGS, ...flags, '--log-level', 'silent', '--title', `t-alone-${process.pid}`]);
    assert.match(stderr, said);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
    assert.equal(code, 2);
  });
}

test('dev has one worker at least', async () => {
  const { code, stderr } = await run(['dev', fixture('hello'), ...FLAGS]);
  assert.equal(code, 2);
  assert.match(stderr, /^--workers: expected a whole number from 1 to \d+, "auto" or a range such as 2-8, found 0$/m);
});

test('a daemon of one process is started, restarted and stopped', async (t) => {
  const { dir } = ownApp(t, {
    'package.json': { name: `alone-${process.pid}` }, 'app.mjs': TOLD,
  });
  const port = await freePort();
  const env = { ...process.env, XDG_RUNTIME_DIR: dir };
  t.after(() => run(['stop', dir, '--force'], { env }));
  const started = await run(['start', dir, ...FLAGS, '--daemon', '--port', String(port)], { env });
  assert.equal(started.code, 0, started.stderr);
  const first = (await told(port)).pid;
  const restarted = await run(['restart', dir], { env });
  assert.equal(restarted.code, 0, restarted.stdout + restarted.stderr);
  assert.notEqual((await told(port)).pid, first);
  assert.equal((await run(['stop', dir], { env })).code, 0);
});

import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fixture, freePort, startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { heldPort, OneProcess, type OneOptions } from '../helpers/one-process.js';
import { once, RawConnection, requestHead } from '../helpers/raw-client.js';

const KEPT = { headers: { Connection: 'keep-alive' } };

async function served(t: TestContext, options: OneOptions = {}) {
  const held = heldPort(t);
  const one = await OneProcess.start(t, 'express', { fds: [held.fd], ...options });
  return { one, target: { port: held.port } };
}

async function started(t: TestContext, main: string, env: Record<string, string> = {}) {
  const port = await freePort();
  const one = await OneProcess.start(t, '', { main: fixture(`one-process/${main}`), env: { PORT: String(port), ...env }, detached: true });
  return { one, target: { port } };
}

test('what is still under way at the end of the time is cut so that it shows, told, and the exit code is 1', async (t) => {
  const { one, target } = await served(t, { options: { timeout: 1_000 } });
  const long = once(target, 'GET', '/long?ms=60000', KEPT).then(() => 'answered', ({ kind }: { kind: string }) => kind);
  const short = once(target, 'GET', '/short?ms=600', KEPT);
  await delay(200);
  const begun = performance.now();
  const { code, at } = await one.stop();
  assert.equal((await short).body.toString(), '/short?ms=600');
  assert.equal(await long, 'reset');
  assert.equal(code, 1, one.output);
  assert.match(one.output, /^drain: 1 request cut; the oldest: GET \/long, 1\.\d s$/m);
  assert.match(one.output, /^onClose$/m);
  assert.ok(at - begun < 1_200, `${at - begun} ms`);
});

test('a second signal hurries, one that comes with the first does not', async (t) => {
  const { one, target } = await served(t);
  const long = once(target, 'GET', '/long?ms=60000', KEPT).then(() => 'answered', ({ kind }: { kind: string }) => kind);
  await delay(200);
  one.process.kill('SIGINT');
  one.process.kill('SIGINT');
  await delay(800);
  assert.equal(one.process.exitCode, null);
  const { code } = await one.stop('SIGINT');
  assert.equal(await long, 'reset');
  assert.equal(code, 1);
  assert.match(one.output, /^onClose$/m);
});

for (const [mode, said] of Object.entries({ exit: ['app: SIGTERM'], close: ['app: closed well'], again: ['app: done'] })) {
  test(`what the app does itself at SIGTERM waits for the answers: ${mode}`, async (t) => {
    const { one, target } = await started(t, 'handlers.cjs', { MODE: mode });
    const idle = new RawConnection(target);
    await idle.send(requestHead('GET', '/'), ['GET'], 5_000)[0];
    const slow = once(target, 'GET', '/?ms=700', KEPT);
    await delay(100);
    one.process.kill('SIGTERM');
    await delay(100);
    const late = await idle.send(requestHead('GET', '/'), ['GET'], 5_000)[0]!;
    assert.equal(late.close, true);
    assert.equal(Number((await slow).body), one.process.pid);
    const { code, signal } = await one.ended;
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, one.output);
    for (const line of said) assert.match(one.output, new RegExp(`^${line}$`, 'm'));
  });
}

for (const first of ['', 'SIGTERM']) {
  test(`a server from before the import is drained${first ? ', and who has listened to the signal before hears it' : ''}`, async (t) => {
    const { one, target } = await started(t, 'late.cjs', first ? { LISTENS_FIRST: first } : {});
    const idle = new RawConnection(target);
    await idle.send(requestHead('GET', '/'), ['GET'], 5_000)[0];
    const slow = once(target, 'GET', '/?ms=1200', KEPT);
    await delay(100);
    await once(target, 'GET', '/drain', KEPT);
    const stopped = one.stop();
    await delay(100);
    const late = await idle.send(requestHead('GET', '/'), ['GET'], 5_000)[0]!;
    assert.equal(late.close, true);
    assert.equal((await slow).body.toString(), '/?ms=1200');
    assert.equal((await stopped).code, 0, one.output);
    assert.match(one.output, /^onClose$/m);
    if (first) assert.match(one.output, /^the app has heard it$/m);
  });
}

test('stop() drains and ends nothing else', async (t) => {
  const { one, target } = await started(t, 'by-hand.mjs');
  const slow = once(target, 'GET', '/', KEPT);
  assert.equal((await once(target, 'GET', '/stop', KEPT)).body.toString(), '/stop');
  assert.equal((await slow).body.toString(), '/');
  await eventually(() => one.output.includes('{"cut":0}'));
  assert.match(one.output, /^aborted$/m);
  assert.match(one.output, /^one promise: true$/m);
  assert.equal(one.process.exitCode, null);
});

test('stop() tells how many it has cut', async (t) => {
  const { one, target } = await started(t, 'by-hand.mjs');
  const long = once(target, 'GET', '/long', KEPT).then(() => 'answered', ({ kind }: { kind: string }) => kind);
  await once(target, 'GET', '/stop', KEPT);
  await eventually(() => one.output.includes('{"cut":1}'));
  assert.equal(await long, 'reset');
});

test('stop() rejects with what onClose threw', async (t) => {
  const { one, target } = await started(t, 'by-hand.mjs', { MODE: 'fails' });
  await once(target, 'GET', '/stop', KEPT);
  await eventually(() => one.output.includes('rejected: the pool is gone'));
  assert.equal(one.process.exitCode, null);
});

for (const [how, said, within] of [['fails', /^drain: onClose failed: Error: the pool is gone/m, 500],
  ['hangs', /^drain: onClose failed: .*not come to its end within the 1500 ms/m, 1_900]] as const) {
  test(`an onClose that ${how} is told, and the exit code is 1`, async (t) => {
    const { one } = await served(t, { options: { timeout: 1_500, onClose: how } });
    const begun = performance.now();
    const { code, at } = await one.stop();
    assert.equal(code, 1, one.output);
    assert.match(one.output, said);
    assert.ok(at - begun < within, `${at - begun} ms`);
  });
}

test('exit: false leaves the end to the process', async (t) => {
  const { one } = await served(t, { options: { exit: false } });
  assert.deepEqual({ ...await one.stop(), at: 0 }, { code: 0, signal: null, at: 0 });
  assert.match(one.output, /^onClose$/m);
});

test('shutdownDelay keeps the servers accepting', async (t) => {
  const { one, target } = await served(t, { options: { shutdownDelay: 600 } });
  const stopped = one.stop();
  await delay(300);
  const { body, close } = await once(target, 'GET', '/late', KEPT);
  assert.deepEqual({ body: body.toString(), close }, { body: '/late', close: false });
  assert.equal((await stopped).code, 0);
});

for (const whole of [false, true]) {
  const signalled = whole ? 'all signalled' : 'it alone signalled';
  test(`the workers of a plain cluster are drained before its first process ends, ${signalled}`, async (t) => {
    const { one, target } = await started(t, 'cluster.mjs');
    const slow = Array.from({ length: 10 }, () => once(target, 'GET', '/?ms=900', KEPT));
    await delay(200);
    if (whole) process.kill(-(one.process.pid as number), 'SIGINT');
    else one.process.kill('SIGTERM');
    for (const { body } of await Promise.all(slow)) assert.equal(body.toString(), '/?ms=900');
    assert.equal((await one.ended).code, 0, one.output);
    assert.deepEqual(one.output.match(/\w+ closed/g), ['worker closed', 'worker closed', 'primary closed']);
  });
}

test('in a worker of ours it is the app\'s own way of closing, and loses nothing', async (t) => {
  const cluster = await startCluster(t, fixture('one-process/handlers.cjs'), {
    flags: ['--workers', '1'], env: { MODE: 'close' },
  });
  const slow = once({ port: cluster.port }, 'GET', '/?ms=700', KEPT);
  await delay(100);
  const stopped = cluster.stop();
  assert.ok(Number((await slow).body) > 0);
  assert.equal((await stopped).code, 0, cluster.output);
  await cluster.assertNothingLeft();
});

test('in a worker thread signals are refused, and its servers are drained when the main thread says so', async (t) => {
  const { one, target } = await started(t, 'threads.mjs');
  const slow = once(target, 'GET', '/?ms=700', KEPT);
  await delay(100);
  const { code } = await one.stop();
  assert.equal((await slow).body.toString(), '/?ms=700');
  assert.equal(code, 0, one.output);
  assert.match(one.output, /^ERR_CLUSTER_USAGE: drain: a worker thread hears no signals: call it with `signals: \[\]`/m);
  assert.match(one.output, /^{"cut":0}$/m);
});

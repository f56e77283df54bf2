import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { cannotNotify, notifySocket } from '../helpers/notify-socket.js';
import { withConfig } from '../helpers/with-config.js';

test('systemd is told READY, WATCHDOG, RELOADING with its time, READY and STOPPING, in this order', { skip: cannotNotify }, async (t) => {
  const { path, messages } = await notifySocket(t);
  const before = process.hrtime.bigint() / 1000n;
  const cluster = await startCluster(t, 'hello', {
    flags: ['--workers', '2'], env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: '1000000', WATCHDOG_PID: undefined },
  });
  await eventually(() => messages.some((one) => one === 'WATCHDOG=1'), 5_000);
  assert.equal(messages[0], `READY=1 STATUS=running, 2 workers ready, ${cluster.url}`);

  cluster.signal('SIGHUP');
  await cluster.waitFor(/reloaded 2 workers/, 8_000);
  await eventually(() => messages.filter((one) => one.startsWith('READY=1')).length === 2, 5_000);
  const reloading = messages.find((one) => one.startsWith('RELOADING=1')) ?? '';
  const [, usec = '0'] = /^RELOADING=1 MONOTONIC_USEC=(\d+) STATUS=reloading \(SIGHUP\)$/.exec(reloading) ?? assert.fail(reloading);
  assert.ok(BigInt(usec) > before && BigInt(usec) < process.hrtime.bigint() / 1000n, 'CLOCK_MONOTONIC');

  assert.equal((await cluster.stop()).code, 0);
  await eventually(() => messages.at(-1) === 'STOPPING=1 STATUS=closing (SIGTERM)', 3_000);
  const order = messages.map((one) => one.split(' ')[0] ?? '').filter((one) => !/^(?:STATUS|WATCHDOG)=/.test(one));
  assert.deepEqual(order, ['READY=1', 'RELOADING=1', 'READY=1', 'STOPPING=1']);
});

test('no WATCHDOG while no worker is ready; it comes again with the first one', { skip: cannotNotify }, async (t) => {
  const { path, messages } = await notifySocket(t);
  const config = withConfig(t, { workers: 1, refork: { minDelay: 2_000 } });
  const cluster = await startCluster(t, 'hello', { flags: ['--config', config], env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: '400000' } });
  const beats = () => messages.filter((one) => one === 'WATCHDOG=1').length;
  await eventually(() => beats() > 1);
  process.kill((await cluster.status()).workers[0]?.pid ?? 0, 'SIGKILL');
  await cluster.waitFor(/is forked again in 2000ms/);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const silent = beats();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  assert.equal(beats(), silent);
  await eventually(() => beats() > silent, 4_000);
  assert.equal((await cluster.stop()).code, 0);
});

test('without systemd-notify the service runs, and says so once', async (t) => {
  const cluster = await startCluster(t, 'hello', {
    flags: ['--workers', '1'], env: { NOTIFY_SOCKET: '/nowhere/notify.sock', WATCHDOG_USEC: '200000', PATH: '/nowhere' },
  });
  await cluster.waitFor(/systemd cannot be told how the service is: systemd-notify is not installed/);
  await new Promise((resolve) => setTimeout(resolve, 400));
  assert.equal(cluster.output.match(/systemd cannot be told/g)?.length, 1);
  assert.equal((await cluster.stop()).code, 0);
});

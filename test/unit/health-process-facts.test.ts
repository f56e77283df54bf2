import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { descendantsOf, kernelFunction, listeningPorts, processFacts, starved } from '../../plugins/health-check/process-facts.js';
import { unsuited } from '../helpers/skips.js';

const onLinux = { skip: process.platform !== 'linux' && unsuited.linux };

test('what the system tells of a process: state, memory, processor time', async () => {
  const { state, rss, cpu } = await processFacts(process.pid);
  // Read by another thread: this one may wait for it.
  assert.match(state ?? '', /^[RS]$/);
  assert.ok(rss !== null && Math.abs(rss - process.memoryUsage.rss()) < 30 * 2 ** 20);
  const { user, system } = process.cpuUsage();
  assert.ok(cpu !== null && Math.abs(cpu - (user + system) / 1000) < 200);
  assert.deepEqual(await processFacts(2 ** 22 + 1), { state: null, rss: null, cpu: null }, 'of one that is gone');
});

test('the ports that a process listens on', async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  t.after(() => server.close());
  assert.ok((await listeningPorts(process.pid)).includes((server.address() as AddressInfo).port));
  assert.deepEqual(await listeningPorts(2 ** 22 + 1), []);
  assert.deepEqual(await listeningPorts(process.pid, '127.9.8.7'), []);
});

test('its processes with theirs, and where it waits in the kernel', onLinux, async (t) => {
  const shell = spawn('sh', ['-c', 'sleep 20; true'], { stdio: 'ignore' });
  t.after(async () => {
    for (const { pid } of [{ pid: shell.pid ?? 0 }, ...await descendantsOf(shell.pid ?? 0)]) process.kill(pid, 'SIGKILL');
  });
  const pid = shell.pid ?? 0;
  const deadline = performance.now() + 3_000;
  while ((await descendantsOf(pid)).length === 0) assert.ok(performance.now() < deadline);
  assert.ok((await descendantsOf(process.pid)).some(({ pid: one }) => one === pid));
  assert.equal(await kernelFunction(2 ** 22 + 1), null);
  assert.ok(await starved(process.pid) >= 0);
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startCluster } from '../helpers/cluster.js';
import { once } from '../helpers/raw-client.js';

test('status and stop say what a closing worker waits for: requests', async (t) => {
  const cluster = await startCluster(t, 'drain-app', { flags: ['--workers', '1'] });
  const slow = [1, 2, 3].map(() => once({ port: cluster.port }, 'GET', '/slow?ms=2500'));
  await delay(100);
  const stop = cluster.run('stop');
  await delay(1_200);
  const status = await cluster.status();
  assert.equal(status.state, 'closing');
  assert.equal(status.workers[0]?.state, 'draining');
  assert.equal(status.workers[0]?.waiting?.requests, 3);
  await Promise.all(slow);
  const { code, stdout } = await stop;
  assert.equal(code, 0);
  assert.match(stdout, /3 requests/);
});

test('an onClose function that hangs is shown by its name, and a hurry ends it', async (t) => {
  const cluster = await startCluster(t, 'drain-handlers', { flags: ['--workers', '1'], env: { MODE: 'hang' } });
  const stop = cluster.run('stop');
  await cluster.waitFor(() => cluster.output.includes('closing'));
  await delay(300);
  const status = await cluster.status();
  assert.deepEqual(status.workers[0]?.waiting?.tasks, ['database pool']);
  // Twice, and not as one press of Ctrl-C: in a hurry.
  cluster.signal('SIGTERM');
  await delay(700);
  cluster.signal('SIGTERM');
  assert.equal((await stop).code, 0);
  await cluster.assertNothingLeft();
});

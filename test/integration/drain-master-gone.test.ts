import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startCluster } from '../helpers/cluster.js';
import { once, RawConnection, requestHead } from '../helpers/raw-client.js';

test('SIGKILL of the master: the workers finish what is in flight, and nothing is left', async (t) => {
  const cluster = await startCluster(t, 'drain-app', { flags: ['--workers', '2'] });
  const idle = new RawConnection({ port: cluster.port });
  await idle.send(requestHead('GET', '/echo'), ['GET'], 5_000)[0];
  const answers = [1, 2, 3, 4].map((n) => once({ port: cluster.port }, 'GET', `/slow?ms=900&n=${n}`));
  await delay(200);
  cluster.signal('SIGKILL');
  assert.deepEqual((await Promise.all(answers)).map(({ body }) => body.toString()), [1, 2, 3, 4].map((n) => `/slow?ms=900&n=${n}`));
  await cluster.waitFor(() => cluster.processes().length === 0, 3_000);
  assert.match(cluster.output, /the master is gone, exiting with code:110/);
});

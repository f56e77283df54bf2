import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startCluster } from '../helpers/cluster.js';
import { once, RawConnection, requestHead } from '../helpers/raw-client.js';
import { Load } from '../helpers/load.js';

for (const path of ['/throw-later', '/reject-later']) {
  test(`${path}: the replacement is forked at once, what is in flight is answered, exit 1`, async (t) => {
    const cluster = await startCluster(t, 'drain-app', { flags: ['--workers', '1'] });
    const connection = new RawConnection({ port: cluster.port });
    const slow = connection.send(requestHead('GET', '/slow?ms=1500'), ['GET'], 8_000)[0]!;
    await delay(100);
    await once({ port: cluster.port }, 'GET', path);
    const load = new Load({ perConnection: 2 }, { http: { port: cluster.port }, pause: 5 }, t);
    await cluster.waitFor(/app_worker#2:\d+ .*started/, 1_400);
    assert.doesNotMatch(cluster.output, /exited with code/);
    const { body, close } = await slow;
    assert.equal(body.toString(), '/slow?ms=1500');
    assert.equal(close, true);
    await cluster.waitFor(/app_worker#1:\d+ .*exited with code 1/);
    await load.stop();
    assert.equal(load.lost, 0, load.report());
    assert.match(cluster.output, /\[worker#0\] un(caught exception|handled rejection): .*\n.*on purpose\n +at /);
    assert.equal((await cluster.stop()).code, 0);
    await cluster.assertNothingLeft();
  });
}

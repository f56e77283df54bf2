import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startCluster } from '../helpers/cluster.js';
import { once, RawConnection, requestHead } from '../helpers/raw-client.js';

/** A request in flight and an idle connection, then SIGTERM to the worker; the request must be answered. */
for (const [mode, said] of Object.entries({
  exit: ['app: SIGTERM'],
  close: ['app: closed well'],
  again: ['app: done'],
  context: ['app: abort', 'app: closed well', 'app: last registered', 'app: first registered'],
})) {
  test(`what the app does itself on SIGTERM waits for the answers: ${mode}`, async (t) => {
    const cluster = await startCluster(t, 'drain-handlers', { flags: ['--workers', '1'], env: { MODE: mode } });
    const idle = new RawConnection({ port: cluster.port });
    const worker = Number((await idle.send(requestHead('GET', '/'), ['GET'], 5_000)[0]!).body);
    const slow = once({ port: cluster.port }, 'GET', '/?ms=700', { headers: { Connection: 'keep-alive' } });
    await delay(100);
    process.kill(worker, 'SIGTERM');
    await cluster.waitFor(/leaves \(signal\)/);
    const late = await idle.send(requestHead('GET', '/'), ['GET'], 5_000)[0]!;
    assert.equal(Number(late.body), worker);
    assert.equal(late.close, true);
    assert.equal(Number((await slow).body), worker);
    await cluster.waitFor(new RegExp(`:${worker} .*exited with code 0`), 3_000);
    let from = 0;
    for (const line of said) {
      const at = cluster.output.indexOf(`${line}\n`, from);
      assert.ok(at >= 0, `"${line}" in its order\n${cluster.output}`);
      from = at;
    }
    assert.equal((await cluster.stop()).code, 0);
    await cluster.assertNothingLeft();
  });
}

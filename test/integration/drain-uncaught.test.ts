import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { alone } from '../helpers/alone.js';
import { once } from '../helpers/raw-client.js';

for (const [path, stack] of [['/throw-later', /thrown on purpose\n +at /], ['/reject-later', /rejected on purpose\n +at /]] as const) {
  test(`${path}: logged with its stack, what is in flight is answered, exit 1`, async (t) => {
    const app = await alone(t, 'drain-app/server.js');
    const slow = once({ port: app.port }, 'GET', '/slow?ms=600', { headers: { Connection: 'keep-alive' } });
    await delay(100);
    await once({ port: app.port }, 'GET', path);
    const { body, close } = await slow;
    assert.equal(body.toString(), '/slow?ms=600');
    assert.equal(close, true);
    assert.equal((await app.ended).code, 1);
    assert.match(app.messages.find(({ logged }) => logged)?.stack ?? '', stack);
  });
}

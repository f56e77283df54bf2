import assert from 'node:assert/strict';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type TestContext } from 'node:test';
import type { RequestTap, ServedRequest, ServedResponse } from '../../lib/api/runtime.js';
import { BailChildHook, gateRequests } from '../../lib/child/request-hooks.js';
import type { Server } from 'node:net';

type Requests = BailChildHook<[ServedRequest, ServedResponse, Server]>;

/** Two gates of a server, as where two copies of this are in one process. */
function hooks(server: Server) {
  const made = { request: new BailChildHook(gate), upgrade: new BailChildHook(gate) };
  const logged: string[] = [];
  function gate(): void {
    gateRequests(server, { hooks: made, logger: { error: (text: string) => logged.push(text) } } as never);
  }
  return { request: made.request as unknown as Requests, logged };
}

async function served(t: TestContext, server: http.Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  t.after(() => server.closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a request goes on by the taps that there were when it came', async () => {
  const hook = new BailChildHook<[string[]]>();
  const add = (tap: string | RequestTap, then: () => unknown = () => {}): void =>
    hook.tap(tap, (seen) => { seen.push(typeof tap === 'string' ? tap : tap.name); return then(); });
  add('one', () => { if (hook.taps.length < 3) add({ name: 'before', stage: -1 }); });
  add('two', async () => { if (hook.taps.length < 4) add({ name: 'after', stage: 1 }); });
  const first: string[] = [];
  assert.equal(await hook.call(hook.taps, [first]), false);
  assert.deepEqual(first, ['one', 'two']);
  const second: string[] = [];
  await hook.call(hook.taps, [second]);
  assert.deepEqual(second, ['before', 'one', 'two', 'after']);
});

test('a tap has its own limit', async () => {
  const hook = new BailChildHook<[]>();
  hook.tap({ name: 'hangs', limit: 20 }, () => new Promise(() => {}));
  await assert.rejects(async () => hook.call(hook.taps, []), (error: Error) => {
    assert.equal(error.message, 'plugin "hangs" failed at a request');
    assert.match(String(error.cause), /it did not finish within 20 ms/);
    return true;
  });
});

test('two gates of one server: each has its taps see a request once, and one of them says 100 Continue', async (t) => {
  const server = http.createServer((request, response) => {
    request.resume().on('end', () => response.end('app'));
  });
  const [inner, outer] = [hooks(server), hooks(server)];
  const seen: string[] = [];
  inner.request.tap('inner', ({ method }) => { seen.push(`inner ${method}`); });
  outer.request.tap('outer', async ({ method }) => { seen.push(`outer ${method}`); });
  const url = await served(t, server);
  let continued = 0;
  const status = await new Promise((resolve, reject) => {
    const request = http.request(url, { method: 'PUT', headers: { expect: '100-continue', 'content-length': 4 } }, (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode));
    });
    request.on('continue', () => { continued++; request.end('body'); }).on('error', reject).flushHeaders();
  });
  assert.deepEqual([status, continued, seen], [200, 1, ['outer PUT', 'inner PUT']]);
});

test('a tap that comes when its server listens counts from the next request on', async (t) => {
  const server = http.createServer((_, response) => response.end('app'));
  const { request, logged } = hooks(server);
  const url = await served(t, server);
  assert.equal((await fetch(url)).status, 200);
  request.tap('late', (_, response) => {
    response.statusCode = 403;
    response.end();
    return true;
  });
  assert.equal((await fetch(url)).status, 403);
  request.tap({ name: 'broken', stage: -1 }, () => { throw new Error('no'); });
  assert.equal((await fetch(url)).status, 500);
  assert.deepEqual(logged, ['plugin "broken" failed at a request']);
});

import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { toListenOptions } from '../../lib/child/listen-options.js';

const callback = (): void => {};
const handle = { listen() {}, close() {} };

/** Every form in which Node takes listen's arguments, and what it means as one options object. */
const forms: [unknown[], object, boolean?][] = [
  [[], { port: 0 }],
  [[callback], { port: 0 }, true],
  [[null], { port: 0 }],
  [[undefined, callback], { port: 0 }, true],
  [[80], { port: 80 }],
  [['80'], { port: '80' }],
  [[0, callback], { port: 0 }, true],
  [[80, '127.0.0.1'], { port: 80, host: '127.0.0.1' }],
  [[80, '127.0.0.1', 100, callback], { port: 80, host: '127.0.0.1', backlog: 100 }, true],
  [[80, 100, callback], { port: 80, backlog: 100 }, true],
  [[80, undefined, undefined, callback], { port: 80 }, true],
  [['/tmp/a.sock', callback], { path: '/tmp/a.sock' }, true],
  [['/tmp/a.sock', 100], { path: '/tmp/a.sock', backlog: 100 }],
  [[{ port: 80, host: '::1', exclusive: true }, callback], { port: 80, host: '::1', exclusive: true }, true],
  [[{ port: null }], { port: 0 }],
  [[{ path: '/tmp/a.sock', readableAll: true }], { path: '/tmp/a.sock', readableAll: true }],
  [[{ fd: 3 }], { fd: 3 }],
  [[handle, 100], { handle, backlog: 100 }],
  [[{ handle }], { handle }],
  [[{ _handle: handle }], { handle }],
];

for (const [args, options, called = false] of forms) {
  test(`listen(${args.map((arg) => typeof arg === 'function' ? 'callback' : JSON.stringify(arg)).join(', ')})`, () => {
    const found = toListenOptions(args);
    assert.deepEqual(found.options, options);
    assert.equal(found.callback, called ? callback : undefined);
  });
}

test("the caller's options object is not the one that taps change", () => {
  const options = { port: 80 };
  toListenOptions([options]).options.port = 81;
  assert.equal(options.port, 80);
});

test('a server given as a handle gives its handle', (_t, done) => {
  const server = net.createServer().listen(0, '127.0.0.1', () => {
    assert.ok(toListenOptions([server]).options.handle);
    server.close(() => done());
  });
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { fixture, startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';

/** What does not come up, and what has to be read in the output then. */
const failures: Record<string, RegExp[]> = {
  throws: [/TypeError: Cannot destructure property 'host'/, /throws\/app\.js:1:9/],
  rejects: [/Error: no database at db\.internal:5432/, /rejects\/app\.js:3/],
  'rejects-import': [/Cannot find module '.*no-such-module\.js'/],
  'syntax-error': [/SyntaxError: Unexpected token ';'/, /broken\.js:2/],
  'exits-0': [/nothing to do/, /code 0/],
  'exits-3': [/the licence has expired/, /code 3/],
  ends: [/ends\/app\.js listens nowhere and exports an object with the keys add/],
  'not-servable': [/exports the class App/],
};

for (const [name, expected] of Object.entries(failures)) {
  test(`${name}: the start fails with the app's own error, and exit code 1`, async (t) => {
    const cluster = await startCluster(t, name, { flags: ['-w', '2'], ready: false });
    assert.equal((await cluster.ended()).code, 1);
    for (const pattern of expected) assert.match(cluster.output, pattern);
    await cluster.assertNothingLeft();
  });
}

const broken = (code: string, later = '') => ({ 'app.js': code, 'later.js': later, 'package.json': { type: 'module' } });
for (const [what, files, expected] of [
  [
    'an error of several, without a message of its own',
    broken('throw new AggregateError([new Error("::1 refused"), new Error("127.0.0.1 refused")]);'),
    [/::1 refused/, /127\.0\.0\.1 refused/],
  ],
  ['something that is no error', broken('throw { status: 503 };'), [/status: 503/]],
  [
    'what is exported by name alone', broken('export const app = () => {}; export const other = 1;'),
    [/app\.js listens nowhere and exports nothing by default, only app, other;/],
  ],
  [
    'what TypeScript makes of that', { 'app.js': 'exports.__esModule = true; exports.app = () => {};' },
    [/app\.js listens nowhere and exports nothing by default, only app;/],
  ],
  ['a syntax error in what is imported later', broken('await import("./later.js");', 'export const x = ;'), [/later\.js:1\n/]],
] as const) {
  test(`${what} is shown whole`, async (t) => {
    const cluster = await startCluster(t, ownApp(t, files).dir, { flags: ['-w', '2'], ready: false });
    assert.equal((await cluster.ended()).code, 1);
    for (const pattern of expected) assert.match(cluster.output, pattern);
    await cluster.assertNothingLeft();
  });
}

/** The user's mistake, said without a stack that holds nothing of the user's. */
const plain: Record<string, (t: TestContext) => Promise<{ app: string; flags: string[]; says: RegExp }>> = {
  'a port that is taken': async (t) => {
    const other = createServer().listen(0);
    t.after(() => other.close());
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    return {
      app: 'cjs-listener', flags: ['-p', String(port)],
      says: new RegExp(`failed: port ${port} is taken by another process \\(.*EADDRINUSE.*\\)$`, 'm'),
    };
  },
  'a host of another machine': async () => ({
    app: 'cjs-listener', flags: ['--host', '192.0.2.1'], says: /192\.0\.2\.1:\d+ is no address of this machine \(.*EADDRNOTAVAIL.*\)$/m,
  }),
  'what cannot be served': async () => ({ app: 'not-servable', flags: [], says: /exports the class App.*$/m }),
  'a certificate that is none': async () => {
    const file = path.join(fixture('https'), 'package.json');
    return {
      app: 'cjs-listener', flags: ['--https.key', file, '--https.cert', file],
      says: /https cannot be served with .*package\.json, .*package\.json: .*$/m,
    };
  },
};

for (const [name, prepare] of Object.entries(plain)) {
  test(`${name}: in words, no stack of ours`, async (t) => {
    const { app, flags, says } = await prepare(t);
    const cluster = await startCluster(t, app, { flags: ['-w', '1', ...flags], ready: false });
    assert.equal((await cluster.ended()).code, 1);
    assert.match(cluster.output, says);
    assert.doesNotMatch(cluster.output, /^ +at /m);
  });
}

test('never-listens: given up after startTimeout', async (t) => {
  const cluster = await startCluster(t, 'never-listens', { flags: ['-w', '1', '--start-timeout', '700'], ready: false });
  assert.equal((await cluster.ended()).code, 1);
  assert.match(cluster.output, /700 ?ms/);
  await cluster.assertNothingLeft();
});

test('throws-late: a crash after the start is not a failed start; the worker is replaced', async (t) => {
  const cluster = await startCluster(t, 'throws-late', { flags: ['-w', '1'] });
  assert.equal((await get(cluster.url)).text, 'fine');
  const [worker] = (await cluster.status()).workers;
  await cluster.waitFor(/Error: too late/, 6_000);
  await cluster.waitFor(new RegExp(`app_worker#\\d+:(?!${worker?.pid}\\b)\\d+ .*started`), 6_000, cluster.output.indexOf('too late'));
  assert.equal((await cluster.stop()).code, 0);
});

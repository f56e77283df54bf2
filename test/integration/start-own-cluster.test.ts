import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { ownApp } from '../helpers/own-app.js';

for (const [what, code] of [
  ['calls cluster.fork()', "import cluster from 'node:cluster';\ncluster.fork();"],
  ['imports fork', "import { fork } from 'node:cluster';\nfork();"],
  ['calls setupPrimary()', "import cluster from 'node:cluster';\ncluster.setupPrimary({});"],
] as const) {
  test(`an app that ${what}: a hint that it is a worker already`, async (t) => {
    const cluster = await startCluster(t, ownApp(t, { 'app.mjs': code }).dir, { flags: ['-w', '1'], ready: false });
    assert.equal((await cluster.ended()).code, 1);
    assert.match(cluster.output, /failed: .*; the workers are forked already, and this is one of them/);
  });
}

test('an app that is a primary of its own is refused in one process, at once', async (t) => {
  const { dir } = ownApp(t, {
    'app.mjs': `import cluster, { fork } from 'node:cluster';
if (cluster.isPrimary) fork(); else (await import('node:http')).createServer().listen(process.env.PORT);`,
  });
  const cluster = await startCluster(t, dir, { flags: ['-w', '0'], ready: false });
  assert.equal((await cluster.ended()).code, 1);
  assert.match(cluster.output, /cluster\.fork\(\) of the app: with --workers 0 .* start it with --workers N/);
  await cluster.assertNothingLeft();
});

import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import { startCluster, type Scope } from '../helpers/cluster.js';
import { ownApp } from '../helpers/own-app.js';

async function taken(scope: Scope): Promise<number> {
  const other = createServer().listen(0);
  scope.after(() => other.close());
  await once(other, 'listening');
  return (other.address() as AddressInfo).port;
}

/** What an app may do with the error that it handles. */
const handlers: Record<string, [then: string, flags: string[], says: string]> = {
  'ends the process': ["console.error('oh no'); process.exit(1)", [], 'the app ended the process with code 1 before it was ready: '],
  'only logs it': ["console.error('oh no')", [], 'app\\.js listens nowhere: '],
  'tries again and again': [
    'setTimeout(() => server.listen(Number(process.env.TAKEN)), 200)', ['--start-timeout', '1500'],
    'was not ready within 1500 ms \\(startTimeout\\): ',
  ],
};

for (const [name, [then, flags, says]] of Object.entries(handlers)) {
  test(`an app that handles the failure of its listen, and ${name}: the port is named at the end`, async (t) => {
    const port = await taken(t);
    const { dir } = ownApp(t, {
      'app.js': `const server = require('node:http').createServer();
server.on('error', () => { ${then}; });
server.listen(Number(process.env.TAKEN));`,
    });
    const cluster = await startCluster(t, dir, { flags: ['-w', '1', ...flags], ready: false, env: { TAKEN: String(port) } });
    assert.equal((await cluster.ended()).code, 1);
    assert.match(cluster.output, new RegExp(`${says}port ${port} is taken by another process`));
    await cluster.assertNothingLeft();
  });
}

test('an app that goes on to the next port is told of no failure, not at its end either', async (t) => {
  const port = await taken(t);
  const { dir } = ownApp(t, {
    'app.js': `const server = require('node:http').createServer((_, response) => response.end());
server.on('error', () => server.listen(0));
server.listen(${port});`,
  });
  const cluster = await startCluster(t, dir, { flags: ['-w', '1'], port: false });
  process.kill((await cluster.status()).workers[0]!.pid, 'SIGKILL');
  await cluster.waitFor(/app_worker#2:\d+ \(slot 0\) started/);
  assert.equal((await cluster.status()).workers[0]?.lastExit?.error, undefined);
});

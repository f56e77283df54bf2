import assert from 'node:assert/strict';
import net from 'node:net';
import tls from 'node:tls';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort, startCluster, type TestCluster } from '../helpers/cluster.js';

/** How an answer without a length, the kind that a plain end makes whole, ends for its client: `end`, or an error's code. */
function endOf(port: number, secure: boolean): { began: Promise<void>; how: Promise<string> } {
  const socket = secure ? tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }) : net.connect(port, '127.0.0.1');
  socket.once(secure ? 'secureConnect' : 'connect', () => { socket.write('GET /stream?chunks=10000&ms=20 HTTP/1.0\r\nHost: x\r\n\r\n'); });
  const how = new Promise<string>((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on('end', () => resolve('end'));
  });
  return { began: new Promise((resolve) => { socket.once('data', () => resolve()); }), how };
}

const WAYS: Record<string, (cluster: TestCluster) => Promise<unknown>> = {
  async 'a second signal'(cluster) {
    cluster.signal('SIGTERM');
    await delay(700);
    cluster.signal('SIGTERM');
  },
  'stop --force': (cluster) => cluster.run('stop', ['--force', '--timeout', '300']),
};

for (const workers of [2, 0]) {
  for (const [name, hurry] of Object.entries(WAYS)) {
    test(`${name} cuts answers so that it shows, --workers ${workers}`, async (t) => {
      const https = await freePort();
      const cluster = await startCluster(t, 'drain-app', { flags: ['--workers', String(workers)], env: { HTTPS_PORT: String(https) } });
      const answers = [endOf(cluster.port, false), endOf(https, true)];
      await Promise.all(answers.map(({ began }) => began));
      const hurried = hurry(cluster);
      assert.deepEqual(await Promise.all(answers.map(({ how }) => how)), ['ECONNRESET', 'ECONNRESET']);
      await hurried;
      assert.equal((await cluster.ended(3_000)).code, 0, cluster.output);
      assert.match(cluster.output, /\((?:1|2) requests? cut\)/);
      await cluster.assertNothingLeft();
    });
  }
}

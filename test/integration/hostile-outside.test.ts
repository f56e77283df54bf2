import assert from 'node:assert/strict';
import { writeSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { residentBytes, startCluster, type TestCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';

/** The parent's end of Node's channel, written to past Node. */
function write(cluster: TestCluster, text: string): void {
  const symbol = Object.getOwnPropertySymbols(cluster.process).find(({ description }) => description === 'kChannelHandle') as symbol;
  const { fd } = (cluster.process as unknown as Record<symbol, { fd: number }>)[symbol] as { fd: number };
  writeSync(fd, text);
}

const deeds = {
  'a line that is no JSON': (cluster) => write(cluster, 'garbage\n'),
  'an acknowledgement of no handle': (cluster) => { cluster.process.send({ cmd: 'NODE_HANDLE_ACK' }); },
  'a message of twenty megabytes': (cluster) => { cluster.process.send({ action: 'x', data: 'd'.repeat(20 * 2 ** 20) }); },
} as Record<string, (cluster: TestCluster & { process: { send(message: object): void } }) => void>;

for (const [what, deed] of Object.entries(deeds)) {
  test(`a parent process loses its channel for ${what}, and the service goes on`, async (t) => {
    const cluster = await startCluster(t, 'hello', { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], flags: ['-w', '1'] });
    const gone = new Promise((resolve) => cluster.process.once('disconnect', resolve));
    deed(cluster as never);
    await cluster.waitFor(/WARN .*the channel to the parent process \(pid \d+\) is closed, as it /);
    await gone;
    assert.equal((await get(cluster.url)).status, 200);
    assert.equal((await cluster.stop()).code, 0);
  });
}

test('messages of any shape from a parent process are left alone', async (t) => {
  const cluster = await startCluster(t, 'hello', { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], flags: ['-w', '1'] });
  const shapes = [0, '', 'text', [], {}, { action: 5 }, { action: 'x', to: {} }, { action: 'x', receiverPid: { toString: 1 } },
    { cmd: 'NODE_CLUSTER', act: 'queryServer', port: 'x' }, { action: 'x', to: 'master', reply: 1, error: 5 }];
  for (const one of shapes) cluster.process.send?.(one);
  assert.equal((await get(cluster.url)).status, 200);
  assert.doesNotMatch(cluster.output, / (?:WARN|ERROR) /);
  assert.equal((await cluster.stop()).code, 0);
});

test('clients of the control socket that say nothing, or anything, keep nobody from it', async (t) => {
  const cluster = await startCluster(t, 'hello', { flags: ['-w', '1'] });
  const file = cluster.files().find((one) => one.endsWith('.sock')) as string;
  assert.ok(file, `a socket among ${cluster.files().map((one) => path.basename(one)).join()}`);
  const before = residentBytes(cluster.pid);
  const clients: net.Socket[] = [];
  t.after(() => { for (const client of clients) client.destroy(); });
  for (let n = 0; n < 300; n++) {
    const client = net.connect(file).on('error', () => {});
    clients.push(client);
    if (n % 3 === 1) client.write('GET /status HTTP/1.1\r\nHost: ');
    if (n % 3 === 2) client.write(Buffer.alloc(100_000, 0));
  }
  await delay(6_000);
  assert.equal((await cluster.run('status', ['--json'])).code, 0);
  assert.ok(residentBytes(cluster.pid) - before < 30 * 2 ** 20);
  assert.equal((await get(cluster.url)).status, 200);
  assert.equal((await cluster.stop()).code, 0);
});

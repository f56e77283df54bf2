import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ask, stickyCluster, type Who } from '../helpers/sticky.js';

const options = { mode: 'request', key: { header: 'x-client' } };

/** Keys, one for each slot. */
async function keys(port: number): Promise<string[]> {
  const found: string[] = [];
  for (let n = 0; found.filter(Boolean).length < 4; n++) {
    const { slot } = await ask({ port }, '/', { headers: { 'x-client': `k${n}` } });
    found[slot] ??= `k${n}`;
  }
  return found;
}

test('an owner that dies: safe requests are answered by its replacement, others get 502, later ones wait for it', async (t) => {
  const cluster = await stickyCluster(t, options);
  const clients = await keys(cluster.port);
  const headers = { 'x-client': clients[2] };
  const { pid } = await ask(cluster, '/', { headers });
  // Some of them were accepted by the victim itself and die with it; in turn, so that no kind has all of those.
  const slow = Array.from({ length: 48 }, (_, n) => ask(cluster, '/slow?ms=700', { headers, ...(n % 2 ? { body: 'x' } : {}) })
    .catch((error: NodeJS.ErrnoException) => error));
  const [safe, unsafe] = [slow.filter((_, n) => n % 2 === 0), slow.filter((_, n) => n % 2 === 1)];
  await delay(350);
  process.kill(pid, 'SIGKILL');
  const later = await Promise.all(Array.from({ length: 24 }, () => ask(cluster, '/', { headers })));
  for (const answer of later) assert.deepEqual([answer.status, answer.slot], [200, 2]);
  const [answered, cut] = split(await Promise.all(safe));
  assert.ok(answered.length > 8 && answered.every((one) => one.status === 200 && one.slot === 2 && one.pid !== pid),
    JSON.stringify(answered.map((one) => one.text)));
  assert.ok(cut.length < 16 && cut.every((error) => error.code === 'ECONNRESET'));
  const [refused] = split(await Promise.all(unsafe));
  assert.ok(refused.length > 8 && refused.every((one) => one.status === 502), JSON.stringify(refused.map((one) => one.status)));
});

test('an owner that cuts what it has and is taken for alive a little longer: safe requests wait for the news', async (t) => {
  const cluster = await stickyCluster(t, options);
  const clients = await keys(cluster.port);
  const headers = { 'x-client': clients[2] };
  const { pid } = await ask(cluster, '/', { headers });
  const all = await Promise.all(Array.from({ length: 16 }, () => ask(cluster, `/die-slowly?pid=${pid}`, { headers })
    .catch((error: NodeJS.ErrnoException) => error)));
  const [answered, cut] = split(all);
  assert.ok(answered.length > 4 && answered.every((one) => one.status === 200 && one.pid !== pid), JSON.stringify(answered));
  assert.ok(cut.every((error) => error.code === 'ECONNRESET'));
});

test('a request that ends its worker, or its connection, is sent once more and no oftener', async (t) => {
  const cluster = await stickyCluster(t, options);
  const clients = await keys(cluster.port);
  for (const path of ['/destroy', '/die']) {
    // Connections go round: one of four is accepted by the owner itself.
    for (let n = 0; n < 2; n++) {
      const { status } = await ask(cluster, path, { headers: { 'x-client': clients[2] }, deadline: 2_000 })
        .catch((error: NodeJS.ErrnoException) => ({ status: error.code }));
      assert.ok(status === 502 || status === 'ECONNRESET', `${path}: ${status}`);
      await ask(cluster, '/', { headers: { 'x-client': clients[2] } });
    }
  }
  const { workers } = await cluster.status();
  assert.deepEqual(workers.filter(({ slot }) => slot !== 2).map(({ restarts }) => restarts), [0, 0, 0]);
  assert.ok(workers[2]!.restarts <= 4, `${workers[2]!.restarts} restarts`);
  assert.ok(workers.every(({ sticky }) => ((sticky as { received: number } | undefined)?.received ?? 0) < 50),
    JSON.stringify(workers.map(({ sticky }) => sticky)));
});

test('an owner that does not come back within patience: the next slot answers; when it is back, it does again', async (t) => {
  const cluster = await stickyCluster(t, { ...options, patience: 400 }, { config: { refork: { minDelay: 2_000 } } });
  const clients = await keys(cluster.port);
  const headers = { 'x-client': clients[1] };
  process.kill((await ask(cluster, '/', { headers })).pid, 'SIGKILL');
  const started = performance.now();
  const meanwhile = await ask(cluster, '/', { headers });
  assert.equal(meanwhile.status, 200);
  assert.notEqual(meanwhile.slot, 1);
  assert.ok(performance.now() - started < 1_500);
  const again = performance.now();
  assert.equal((await ask(cluster, '/', { headers })).slot, meanwhile.slot);
  assert.ok(performance.now() - again < 300, 'only the first ones wait');
  await cluster.waitFor(/app_worker#5:\d+ \(slot 1\) started/);
  assert.equal((await ask(cluster, '/', { headers })).slot, 1);
});

test('reload, scale up and down, SIGTERM of workers: no request of any client is lost or answered by another slot', async (t) => {
  const cluster = await stickyCluster(t, options);
  const { default: http } = await import('node:http');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 12 });
  t.after(() => agent.destroy());
  let running = true;
  let answered = 0;
  const lost: string[] = [];
  const lanes = Array.from({ length: 16 }, async (_, lane) => {
    while (running) {
      try {
        const answer = await ask(cluster, '/upload', {
          headers: { 'x-client': `l${lane}` }, body: 'x'.repeat(1_000), agent: lane % 2 ? agent : false,
        });
        if (answer.status === 200 && answer.length === 1_000) answered++;
        else lost.push(`${answer.status} ${answer.text}`);
      } catch (error) {
        lost.push((error as Error).message);
      }
      await delay(2);
    }
  });
  await delay(300);
  assert.equal((await cluster.run('reload')).code, 0);
  assert.equal((await cluster.run('scale', ['6'])).code, 0);
  assert.equal((await cluster.run('scale', ['3'])).code, 0);
  process.kill((await cluster.status()).workers[1]!.pid, 'SIGTERM');
  await cluster.waitFor(/\(slot 1\) leaves/);
  await delay(800);
  running = false;
  await Promise.all(lanes);
  assert.deepEqual(lost, []);
  assert.ok(answered > 500, String(answered));
});

test('stop: what is in flight between workers is answered, and nothing is left behind', async (t) => {
  const cluster = await stickyCluster(t, options);
  const clients = await keys(cluster.port);
  const slow = Array.from({ length: 32 }, (_, n) => ask(cluster, '/slow?ms=1000', { headers: { 'x-client': clients[n % 4] } }));
  await delay(300);
  const [{ code }, answers] = await Promise.all([cluster.stop(), Promise.all(slow)]);
  assert.equal(code, 0);
  for (const [n, answer] of answers.entries()) assert.deepEqual([answer.status, answer.slot], [200, n % 4]);
  await cluster.assertNothingLeft();
});

test('one worker: its replacement serves after a SIGTERM', async (t) => {
  const cluster = await stickyCluster(t, options, { config: { workers: 1 } });
  const { pid } = await ask(cluster, '/', { headers: { 'x-client': 'a' } });
  process.kill(pid, 'SIGTERM');
  await cluster.waitFor(/app_worker#2:\d+ \(slot 0\) started/);
  assert.notEqual((await ask(cluster, '/', { headers: { 'x-client': 'a' } })).pid, pid);
});

test('SIGKILL of the master: no socket stays', async (t) => {
  const cluster = await stickyCluster(t, options);
  cluster.signal('SIGKILL');
  await cluster.ended();
  await cluster.waitFor(() => cluster.processes().length === 0, 8_000);
  assert.deepEqual(cluster.files().filter((file) => file.includes('sticky')), []);
});

function split(results: (Who | NodeJS.ErrnoException)[]): [Who[], NodeJS.ErrnoException[]] {
  return [
    results.filter((one): one is Who => !(one instanceof Error)),
    results.filter((one): one is NodeJS.ErrnoException => one instanceof Error),
  ];
}

import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from '../helpers/cluster.js';
import { ask, stickyCluster } from '../helpers/sticky.js';

test('one socket for each slot, through reload, death and scale: always that slot, nothing refused, no file left', async (t) => {
  const cluster = await stickyCluster(t, { perSlotSocket: true }, { config: { workers: 2 } });
  const socket = (slot: number) => ({ socketPath: path.join(cluster.dir, 'run', `${cluster.title}-${slot}.sock`) });
  assert.equal(statSync(socket(0).socketPath).mode & 0o777, 0o666);
  let running = true;
  t.after(() => { running = false; });
  let answered = 0;
  const wrong: string[] = [];
  const load = Promise.all([0, 1, 0, 1].map(async (slot) => {
    while (running) {
      try {
        const answer = await ask(socket(slot), '/');
        if (answer.slot === slot) answered++;
        else wrong.push(`slot ${answer.slot} for ${slot}`);
      } catch (error) {
        wrong.push((error as NodeJS.ErrnoException).code ?? (error as Error).message);
      }
    }
  }));
  assert.equal((await cluster.run('reload')).code, 0);
  assert.equal((await cluster.run('scale', ['3'])).code, 0);
  assert.equal((await ask(socket(2), '/')).slot, 2);
  assert.equal((await cluster.run('scale', ['2'])).code, 0);
  assert.equal(existsSync(socket(2).socketPath), false);
  assert.deepEqual(wrong, []);
  const { workers } = await cluster.status();
  process.kill(workers[1]!.pid, 'SIGKILL');
  await cluster.waitFor(
    /app_worker#\d+:\d+ \(slot 1\) started[^]*app_worker#\d+:\d+ \(slot 1\) started[^]*app_worker#\d+:\d+ \(slot 1\) started/,
  );
  running = false;
  await load;
  assert.ok(wrong.length <= 2 && wrong.every((one) => one === 'ECONNRESET' || one === 'EPIPE'), JSON.stringify(wrong));
  assert.ok(answered > 300, String(answered));
  assert.equal((await cluster.stop()).code, 0);
  assert.deepEqual(readdirSync(path.join(cluster.dir, 'run')), []);
});

for (const [name, end] of Object.entries({
  'a smaller scale': ['scale', ['1']], 'a stop': ['stop', []],
} satisfies Record<string, [string, string[]]>)) {
  test(`${name}: the socket of a slot that goes is gone first, and whoever had connected is answered`, async (t) => {
    const cluster = await stickyCluster(t, { perSlotSocket: true }, { config: { workers: 2 } });
    const socketPath = path.join(cluster.dir, 'run', `${cluster.title}-1.sock`);
    // They wait in the kernel, as the worker does not come to accept them.
    await ask({ socketPath }, '/block?ms=700');
    await delay(50);
    const waiting = Array.from({ length: 20 }, () => ask({ socketPath }, '/slow?ms=200')
      .catch((error: NodeJS.ErrnoException) => error.code));
    await delay(100);
    const done = cluster.run(...end as [string, string[]]);
    await cluster.waitFor(() => !existsSync(socketPath));
    assert.deepEqual((await Promise.all(waiting)).map((one) => typeof one === 'object' ? one.slot : one), Array<number>(20).fill(1));
    assert.equal((await done).code, 0);
  });
}

test('a file that a dead master left is replaced; a socket that somebody serves is not', async (t) => {
  const flags = ['--title', 'fixed'];
  const first = await stickyCluster(t, { perSlotSocket: true }, { title: false, flags, config: { workers: 1 } });
  first.signal('SIGKILL');
  await first.ended();
  await first.waitFor(() => first.processes().length === 0, 8_000);
  const file = path.join(first.dir, 'run', 'fixed-0.sock');
  assert.equal(existsSync(file), true);
  const again = await run(['start', first.dir, ...flags, '--port', String(first.port), '--daemon'], { env: first.env });
  assert.equal(again.code, 0, again.stderr);
  assert.equal((await ask({ socketPath: file }, '/')).slot, 0);
  assert.equal((await run(['stop', first.dir, ...flags], { env: first.env })).code, 0);
  const other = net.createServer().listen(file);
  t.after(() => other.close());
  const refused = await run(['start', first.dir, ...flags, '--port', String(first.port)], { env: first.env });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr + refused.stdout, /cannot listen on .*fixed-0\.sock/);
});

test('proxy-config prints what nginx and HAProxy read, and says what is missing', async (t) => {
  const { dir, env } = await stickyCluster(t, { perSlotSocket: { dir: 'sockets' } }, { config: { workers: 2 } });
  const nginx = await run(['proxy-config', 'nginx', dir, '--title', 'mine', '--listen', '8080'], { env });
  assert.equal(nginx.code, 0);
  assert.match(nginx.stdout, new RegExp(`hash \\$remote_addr consistent;\n +server "unix:${dir}/sockets/mine-0\\.sock" .*\n`
    + ` +server "unix:${dir}/sockets/mine-1\\.sock" `));
  assert.match((await run(['proxy-config', 'haproxy', dir, '--title', 'mine'], { env })).stdout,
    new RegExp(`server slot1 'unix@${dir}/sockets/mine-1\\.sock'`));
  const unknown = await run(['proxy-config', 'nginxx', dir], { env });
  assert.deepEqual([unknown.code, /did you mean "nginx"\?/.test(unknown.stderr)], [2, true]);
  const far = await run(['proxy-config', 'nginx', dir, '--listen', '65536'], { env });
  assert.deepEqual([far.code, far.stderr], [2, '--listen: expected a port from 1 to 65535, found "65536"\n']);
  writeFileSync(path.join(dir, '.clusterrc'), '{}');
  const none = await run(['proxy-config', 'nginx', dir], { env });
  assert.deepEqual([none.code, /perSlotSocket: true/.test(none.stderr)], [2, true]);
});

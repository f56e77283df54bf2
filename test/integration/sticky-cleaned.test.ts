import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, unlinkSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import type { Status } from '../../lib/api/control.js';
import { eventually } from '../helpers/eventually.js';
import { unsuited } from '../helpers/skips.js';
import { ask, stickyCluster } from '../helpers/sticky.js';

const skip = process.platform !== 'linux' && unsuited.linux;
const options = { mode: 'request', key: { header: 'x-client' } };

/** Where the workers' private sockets are. */
function privateDir(tmp: string): string {
  const place = path.join(tmp, '.hatchery');
  const [own] = readdirSync(place).filter((name) => name.startsWith('p.'));
  return path.join(place, own!, 'sticky-session');
}

const clients = Array.from({ length: 24 }, (_, number) => `client-${number}`);

/** The slot of each client; every one is answered. */
async function slotsOf(port: number): Promise<number[]> {
  const answers = await Promise.all(clients.map((client) => ask({ port }, '/', { headers: { 'x-client': client } })));
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  return answers.map(({ slot }) => slot);
}

const losses: Record<string, (dir: string) => void> = {
  'the directory with the sockets': (dir) => rmSync(dir, { recursive: true }),
  'all that the master had': (dir) => rmSync(path.dirname(path.dirname(dir)), { recursive: true }),
  'one socket': (dir) => unlinkSync(path.join(dir, readdirSync(dir)[0]!)),
  'the directory, and a link to another one is there instead': (dir) => {
    const trap = `${dir}-${statSync(dir).ino}`;
    rmSync(dir, { recursive: true });
    mkdirSync(trap);
    symlinkSync(trap, dir);
  },
};

for (const [what, lose] of Object.entries(losses)) {
  test(`mode request, a cleaner takes ${what}: requests reach their slots, new workers start`, { skip }, async (t) => {
    const cluster = await stickyCluster(t, options, { config: { workers: 3 } });
    const before = await slotsOf(cluster.port);
    assert.equal(new Set(before).size, 3);
    lose(privateDir(cluster.tmp));
    // Those that are sent on find no socket, say so, and wait for it.
    assert.deepEqual(await slotsOf(cluster.port), before);
    await eventually(async () => (await cluster.run('status')).code === 0);
    assert.equal((await cluster.run('reload')).code, 0);
    assert.deepEqual(await slotsOf(cluster.port), before);
    const { pid } = (await cluster.status()).workers[0]!;
    lose(privateDir(cluster.tmp));
    process.kill(pid, 'SIGKILL');
    await eventually(async () => {
      const { code, stdout } = await cluster.run('status', ['--json']);
      return code === 0 && (JSON.parse(stdout) as Status).workers.every((one) => one.state === 'ready' && one.pid !== pid);
    });
    assert.deepEqual(await slotsOf(cluster.port), before);
    const dir = privateDir(cluster.tmp);
    assert.equal(lstatSync(dir).mode, 0o040700);
    assert.ok(readdirSync(dir).every((name) => (statSync(path.join(dir, name)).mode & 0o777) === 0o600));
    assert.equal((await cluster.stop()).code, 0);
    await cluster.assertNothingLeft();
  });
}

test('the sockets of a master that is killed go with it', { skip }, async (t) => {
  const cluster = await stickyCluster(t, options, { config: { workers: 2 } });
  const dir = privateDir(cluster.tmp);
  cluster.signal('SIGKILL');
  await cluster.waitFor(() => cluster.processes().length === 0, 15_000);
  await cluster.waitFor(() => !existsSync(path.dirname(dir)));
});

test('one socket for each slot: a cleaner takes one, and it is made anew, by the worker that there is', { skip }, async (t) => {
  const cluster = await stickyCluster(t, { perSlotSocket: true }, { config: { workers: 2 } });
  const socketPath = path.join(cluster.dir, 'run', `${cluster.title}-1.sock`);
  const { pid } = await ask({ socketPath }, '/');
  rmSync(path.dirname(socketPath), { recursive: true });
  await cluster.waitFor(() => existsSync(socketPath));
  assert.equal((await ask({ socketPath }, '/')).pid, pid);
  assert.equal((await cluster.stop()).code, 0);
  assert.deepEqual(readdirSync(path.dirname(socketPath)), []);
});

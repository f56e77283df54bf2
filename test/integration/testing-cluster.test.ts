import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { startTestCluster } from '../../bin/testing/index.js';
import { fixture, root } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';

const isThere = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

test('an error of one entry of the package is a ClusterError of every other', async () => {
  const dist = (name: string) => import(path.join(root, 'dist/lib', name)) as Promise<Record<string, unknown>>;
  const [library, runtime, testing] = await Promise.all([dist('index.js'), dist('runtime.js'), dist('testing.js')]);
  const start = testing.startTestCluster as typeof startTestCluster;
  const error: unknown = await start({ config: { wrokers: 1 } as object }).then(() => undefined, (reason: unknown) => reason);
  for (const { ClusterError } of [library, runtime] as { ClusterError: new (code: string, message: string) => Error }[]) {
    assert.ok(error instanceof ClusterError);
    assert.ok(!(new Error('x') instanceof ClusterError));
    const Narrower = class extends ClusterError {};
    assert.ok(!(error instanceof Narrower));
    assert.ok(new Narrower('ERR_CLUSTER_USAGE', 'x') instanceof ClusterError);
  }
});

test('a cluster of a test serves, is told what to do, and leaves nothing behind', async (t) => {
  const cluster = await startTestCluster({ workers: 2 });
  t.after(() => cluster.stop());
  const { slot, pid } = await (await cluster.fetch('/')).json() as { slot: number; pid: number };
  assert.ok(slot === 0 || slot === 1);
  assert.match(await cluster.line(`${pid}`), /started/);
  assert.equal((await cluster.reload()).replaced, 2);
  assert.deepEqual(await cluster.scale('+1'), { from: 2, to: 3 });
  const killed = await cluster.signal(2, 'SIGKILL');
  const status = await cluster.until(({ workers }) => workers.some((one) => one.slot === 2 && one.state === 'ready' && one.pid !== killed));
  const pids = [cluster.pid, ...status.workers.map((worker) => worker.pid as number)];
  assert.ok(existsSync(cluster.dir));
  assert.equal(await cluster.stop(), 0);
  assert.deepEqual(pids.filter(isThere), []);
  assert.equal(existsSync(path.dirname(cluster.dir)), false);
});

test('it runs an app with its own files, a configuration and an environment', async (t) => {
  const cluster = await startTestCluster({
    files: { 'index.js': 'export default (request, response) => response.end(`${process.env.WHO} ${process.env.ALSO}`);' },
    config: { app: 'index.js', env: { WHO: 'configured' } },
    env: { ALSO: 'given' },
  });
  t.after(() => cluster.stop());
  assert.equal(await (await cluster.fetch('/')).text(), 'configured given');
});

test('it runs an app that is there', async (t) => {
  const cluster = await startTestCluster({ target: fixture('hello') });
  t.after(() => cluster.stop());
  assert.equal((await cluster.fetch('/')).status, 200);
});

test('what does not start is told with its output, and is gone', async () => {
  const files = { 'app.js': 'throw new Error("not today");' };
  await assert.rejects(startTestCluster({ files }), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'ERR_CLUSTER_START');
    assert.match(error.message, /not today/);
    return true;
  });
});

test('wrong options are told before anything runs', async () => {
  await assert.rejects(startTestCluster({ worker: 1 } as object), { code: 'ERR_CLUSTER_USAGE', message: /did you mean "workers"/ });
  await assert.rejects(startTestCluster({ target: '.', files: {} }), { code: 'ERR_CLUSTER_USAGE' });
  const plugins = [{ name: 'mine', apply: () => {} }];
  await assert.rejects(startTestCluster({ config: { plugins } }), { code: 'ERR_CLUSTER_USAGE', message: /another process/ });
});

test('a test that is killed leaves no cluster', async (t) => {
  const code = `import { startTestCluster } from '${path.join(root, 'dist/lib/testing.js')}';
    const cluster = await startTestCluster();
    const { workers } = await cluster.status();
    console.log(JSON.stringify([cluster.pid, workers[0].pid]));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  let said = '';
  for await (const text of child.stdout.setEncoding('utf8')) {
    said += text as string;
    if (said.includes('\n')) break;
  }
  const pids = JSON.parse(said) as number[];
  assert.ok(pids.every(isThere));
  child.kill('SIGKILL');
  await eventually(() => !pids.some(isThere));
});

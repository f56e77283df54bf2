import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { fixture, freePort, node, root, type Scope } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';

function program(t: Scope, options: object, bootstrap: object = {}) {
  const child = spawn(node, [fixture('library.mjs'), JSON.stringify(options), JSON.stringify(bootstrap)], { cwd: root });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text; });
  return { child, output: () => output };
}

test('startCluster in a program of one\'s own: serves, and closes on SIGTERM with 0', async (t) => {
  const port = await freePort();
  const { child, output } = program(t, { target: fixture('life'), workers: 2, port, agent: false });
  await eventually(() => output().includes(`RUNNING http://127.0.0.1:${port}`));
  assert.equal((await get(`http://127.0.0.1:${port}`)).status, 200);
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

test('startCluster rejects with a coded error', async (t) => {
  const { child, output } = program(t, { target: fixture('throws'), workers: 1, port: await freePort() });
  assert.deepEqual((await once(child, 'exit'))[0], 1);
  assert.match(output(), /ERR_CLUSTER_START: worker#0 .*failed/);
  const wrong = program(t, { target: fixture('life'), workers: 'many' });
  assert.deepEqual((await once(wrong.child, 'exit'))[0], 2);
  assert.match(wrong.output(), /ERR_CLUSTER_CONFIG: .*workers/);
});

test('three strikes: nobody left and nobody coming, at three checks: ClusterWorkerExceptionError with the counts, exit 1', async (t) => {
  const port = await freePort();
  const { child, output } = program(t, {
    target: fixture('life'), workers: 1, port, agent: false, plugins: { [fixture('plugins/gates.mjs')]: { leave: true } },
  }, { checkInterval: 200 });
  await eventually(() => output().includes('RUNNING'));
  await get(`http://127.0.0.1:${port}/exit?code=9`);
  assert.deepEqual((await once(child, 'exit'))[0], 1);
  assert.match(output(), /ClusterWorkerExceptionError: .*agent: 0, workers: 0/);
});

test('a drain that takes longer than three checks is a drain, and nobody is missed', async (t) => {
  const port = await freePort();
  const { child, output } = program(t, { target: fixture('life'), workers: 1, port, agent: false }, { checkInterval: 50 });
  await eventually(() => output().includes('RUNNING'));
  const answer = get(`http://127.0.0.1:${port}/?delay=700`);
  await get(`http://127.0.0.1:${port}/`);
  child.kill('SIGTERM');
  assert.equal((await answer).status, 200);
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  assert.doesNotMatch(output(), /ClusterWorkerExceptionError/);
});

test('closed while a gate is shut: no agent is forked behind it, and the program can end', async (t) => {
  const child = spawn(node, [fixture('closed-at-the-gate.mjs'), fixture('hello')], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text; });
  await eventually(() => child.exitCode !== null, 8_000);
  assert.doesNotMatch(output, /FORKED/);
  assert.match(output, /CLOSED 0/);
  assert.match(output, /ERR_CLUSTER_CLOSING/);
});

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { fixture, freePort, node, root, type Scope } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { skip as reusePort } from '../helpers/reuse-port.js';

interface Answer { id?: number; result?: unknown; error?: { code: string; message: string } }

/** A program with several clusters; each order resolves with its answer. */
async function program(t: Scope) {
  const child = spawn(node, [fixture('several-clusters.mjs')], { cwd: root, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => { output += text; });
  const waiting = new Map<number, (answer: Answer) => void>();
  child.on('message', (answer: Answer) => { waiting.get(answer.id ?? -1)?.(answer); });
  await new Promise((resolve) => waiting.set(0, resolve));
  let last = 0;
  const tell = (order: object) => new Promise<Answer>((resolve) => {
    waiting.set(++last, resolve);
    child.send({ id: last, ...order });
  });
  return { child, tell, output: () => output };
}

const target = fixture('life');
const status = async (url: unknown) => (await get(String(url))).status;

for (const balance of ['round-robin', 'os', 'reuse-port'] as const) {
  const skip = balance === 'reuse-port' && reusePort;

  test(`${balance}: two clusters in one process have an address each, and the end of one is not the other's`, { skip }, async (t) => {
    const { tell } = await program(t);
    const started = await Promise.all(['a', 'b'].map((start) => tell({ start, options: { target, balance, port: 0 } })));
    const [a, b] = started.map(({ result, error }) => result ?? assert.fail(error?.message));
    assert.notEqual(a, b);
    assert.deepEqual([await status(a), await status(b)], [200, 200]);
    await tell({ close: 'a' });
    await assert.rejects(get(String(a)), /ECONNREFUSED/);
    assert.equal(await status(b), 200);
    assert.equal((await tell({ reload: 'b' })).error, undefined);
    assert.equal(await status(b), 200);
    // What another has started meanwhile goes on when the first one's traces are gone.
    const { result: c } = await tell({ start: 'c', options: { target, balance, port: 0 } });
    await tell({ close: 'b' });
    assert.equal(await status(c), 200);
    assert.equal((await tell({ reload: 'c' })).error, undefined);
  });

  test(`${balance}: the same port twice is refused, as between two processes; the first one serves on`, { skip }, async (t) => {
    const { tell } = await program(t);
    const options = { target, balance, port: await freePort() };
    const { result: first } = await tell({ start: 'first', options });
    const { error } = await tell({ start: 'second', options });
    assert.equal(error?.code, 'ERR_CLUSTER_START');
    assert.match(error?.message ?? '', new RegExp(`port ${options.port} is taken`));
    assert.equal(await status(first), 200);
    await tell({ close: 'first' });
    const { result: third } = await tell({ start: 'third', options });
    assert.equal(await status(third), 200);
  });
}

test('two ways to balance in one process: node:cluster keeps to the first, so the second is refused', async (t) => {
  const { tell } = await program(t);
  const { result } = await tell({ start: 'a', options: { target, port: 0 } });
  const { error } = await tell({ start: 'b', options: { target, port: 0, balance: 'os' } });
  assert.equal(error?.code, 'ERR_CLUSTER_BALANCE');
  assert.match(error?.message ?? '', /^balance: "os" cannot be had in a process whose first cluster had another/);
  assert.equal(await status(result), 200);
});

test('SIGTERM to a process of two clusters: both drain, and the last one ends the process', async (t) => {
  const { child, tell, output } = await program(t);
  const [a, b] = await Promise.all(['a', 'b'].map((start) => tell({ start, owns: true, options: { target, port: 0 } })));
  const slow = get(`${String(b?.result)}/?delay=700`);
  await status(a?.result);
  await eventually(async () => (await status(b?.result)) === 200);
  child.kill('SIGTERM');
  assert.equal((await slow).status, 200);
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  assert.match(output(), /the process goes on, with 1 other cluster$/m);
  assert.doesNotMatch(output(), /the master is gone/);
});

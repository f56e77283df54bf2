import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { startCluster, type ClusterOptions, type Scope, type TestCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { unsuited } from '../helpers/skips.js';
import { withConfig } from '../helpers/with-config.js';

const skip = process.platform !== 'linux' && unsuited.linux;
const quick = { 'graceful-exit': { timeout: 1_000, agentTimeout: 500 } };

const start = (t: Scope, config: object = {}, options: ClusterOptions = {}) => startCluster(t, 'leaves', {
  ...options, flags: ['--config', withConfig(t, { workers: 1, agent: false, plugins: quick, ...config })],
});

function runs(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

async function helperOf(cluster: TestCluster, how: string): Promise<{ helper: number; pid: number }> {
  const { helper, pid } = (await get(`${cluster.url}/leave?how=${how}`)).json as { helper: number; pid: number };
  assert.ok(runs(helper));
  return { helper, pid };
}

const gone = (cluster: TestCluster, pid: number, deadline = 2_000) => cluster.waitFor(() => !runs(pid), deadline);

for (const how of ['plain', 'bare', 'shell', 'orphan', 'sync']) {
  test(`a reload ends what the old worker has started and left: ${how}`, { skip }, async (t) => {
    const cluster = await start(t);
    const { helper } = await helperOf(cluster, how);
    await cluster.run('reload');
    await gone(cluster, helper);
    const [line] = await cluster.waitFor(/INFO .*worker#0 has left .*/);
    assert.match(line, new RegExp(`pid ${helper} \\(.*(?:helper\\.js|\\.\\.\\.)\\).*leaveChildren: true`));
    assert.equal(cluster.output.match(/has left/g)?.length, 1);
  });
}

test('one that ignores SIGTERM gets SIGKILL after 5 s', { skip }, async (t) => {
  const cluster = await start(t);
  const { helper } = await helperOf(cluster, 'stubborn');
  await cluster.run('reload');
  const reloaded = performance.now();
  await gone(cluster, helper, 7_000);
  const took = performance.now() - reloaded;
  assert.ok(took > 4_000, `${took} ms`);
  await cluster.waitFor(/did not end by SIGTERM: SIGKILL/);
});

const ends: Readonly<Record<string, (cluster: TestCluster, pid: number) => unknown>> = {
  'a crash': (cluster) => get(`${cluster.url}/exit`).catch(() => {}),
  'kill -9 of the worker': (_cluster, pid) => process.kill(pid, 'SIGKILL'),
  'SIGTERM of the worker': (_cluster, pid) => process.kill(pid, 'SIGTERM'),
  'a stop': (cluster) => cluster.stop(),
  'SIGKILL of the master': (cluster) => cluster.signal('SIGKILL'),
};
for (const [name, end] of Object.entries(ends)) {
  test(`${name} ends it, and leaves alone what has a session of its own`, { skip }, async (t) => {
    const cluster = await start(t);
    const { helper, pid } = await helperOf(cluster, 'plain');
    const { helper: detached } = await helperOf(cluster, 'detached');
    t.after(() => { process.kill(detached, 'SIGKILL'); });
    await end(cluster, pid);
    await gone(cluster, helper, 5_000);
    assert.ok(runs(detached));
  });
}

test('scaling down ends what the worker has left that goes, and nothing of the others', { skip }, async (t) => {
  const cluster = await start(t, { workers: 2 });
  const helpers = new Map<string, number>();
  while (helpers.size < 2) {
    const { slot, helper } = (await get(`${cluster.url}/leave?how=plain`)).json as { slot: string; helper: number };
    helpers.set(slot, helper);
  }
  await cluster.run('scale', ['1']);
  await gone(cluster, helpers.get('1')!);
  assert.ok(runs(helpers.get('0')!));
});

test('a worker killed at its deadline takes what it has started with it, but for a session of its own', { skip }, async (t) => {
  const cluster = await start(t);
  const { helper } = await helperOf(cluster, 'plain');
  const { helper: detached } = await helperOf(cluster, 'detached');
  t.after(() => { process.kill(detached, 'SIGKILL'); });
  get(`${cluster.url}/loop`).catch(() => {});
  await cluster.run('reload');
  await gone(cluster, helper);
  assert.ok(runs(detached));
});

test('and what one of its threads has started, with an environment of its own', { skip }, async (t) => {
  const cluster = await start(t);
  const { helper } = await helperOf(cluster, 'thread');
  get(`${cluster.url}/loop`).catch(() => {});
  await cluster.run('reload');
  await gone(cluster, helper);
});

test('SIGKILL of the master: the shell that ends what is left is as patient', { skip }, async (t) => {
  const cluster = await start(t);
  const { helper: stubborn } = await helperOf(cluster, 'stubborn');
  const { helper: orphan } = await helperOf(cluster, 'orphan');
  cluster.signal('SIGKILL');
  await gone(cluster, orphan, 4_000);
  assert.ok(runs(stubborn));
  await gone(cluster, stubborn, 9_000);
  await cluster.assertNothingLeft(2_000);
});

test('a stop waits for what it has to kill, and a second signal does not', { skip }, async (t) => {
  for (const hurried of [false, true]) {
    const cluster = await start(t);
    const { helper } = await helperOf(cluster, 'stubborn');
    const began = performance.now();
    cluster.signal('SIGTERM');
    if (hurried) {
      await cluster.waitFor(/has left/);
      await cluster.waitFor(() => performance.now() - began > 600);
      cluster.signal('SIGTERM');
    }
    const { code, at } = await cluster.ended();
    assert.equal(code, 0);
    assert.equal(runs(helper), false);
    assert.ok(hurried ? at - began < 4_000 : at - began > 4_500, `${at - began} ms`);
  }
});

test('leaveChildren: true leaves them', { skip }, async (t) => {
  const cluster = await start(t, { leaveChildren: true });
  const { helper } = await helperOf(cluster, 'plain');
  await cluster.run('reload');
  await cluster.stop();
  assert.ok(runs(helper));
  assert.doesNotMatch(cluster.output, /has left/);
});

const deadlines: Readonly<Record<string, (cluster: TestCluster) => unknown>> = {
  'a stop': (cluster) => cluster.stop(),
  'SIGKILL of the master': (cluster) => cluster.signal('SIGKILL'),
};
for (const [name, end] of Object.entries(deadlines)) {
  test(`leaveChildren: true leaves them also where their worker has to be killed: ${name}`, { skip }, async (t) => {
    const cluster = await start(t, { leaveChildren: true });
    const { helper, pid } = await helperOf(cluster, 'plain');
    get(`${cluster.url}/loop`).catch(() => {});
    await end(cluster);
    // A deadline of 1 s, and one to look: a worker that answers nothing has none for readers.
    await gone(cluster, pid, 4_500);
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.ok(runs(helper));
  });
}

test('the agent\'s go as well, with it', { skip }, async (t) => {
  const cluster = await start(t, { agent: true }, { env: { AGENT_LEAVES: 'plain' } });
  const [, helper] = await cluster.waitFor(/agent's helper: (\d+)/);
  await cluster.run('reload');
  await gone(cluster, Number(helper));
  await cluster.waitFor(/agent has left a process/);
});

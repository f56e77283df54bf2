import assert from 'node:assert/strict';
import test from 'node:test';
import { FakeProcesses, leaderOf, turn, until, type FakeProcess } from '../helpers/shared-processes.js';

class Registry {
  static made = 0;
  closed = false;
  constructor() { Registry.made++; }
  where() { return 'here'; }
  close() { this.closed = true; }
}

const share = (one: FakeProcess, options = {}) => one.clients.share(Registry, options) as Promise<{ close(): Promise<void> }>;
const leads = (world: FakeProcesses, one: FakeProcess, what: string) =>
  until(() => leaderOf('Registry', world.processes) === one.pid, what);

test('the agent leads where it shares the client, and nobody else makes a real one', async () => {
  const world = new FakeProcesses();
  Registry.made = 0;
  const agent = world.agent('booting');
  await share(agent);
  const workers = [0, 1, 2].map((slot) => world.worker(slot));
  await Promise.all(workers.map((worker) => share(worker)));
  assert.equal(leaderOf('Registry', world.processes), agent.pid);
  assert.equal(Registry.made, 1);
});

test('without an agent the lowest slot leads, in whatever order they come at the start', async () => {
  const world = new FakeProcesses();
  const [zero, one, two] = [0, 1, 2].map((slot) => world.worker(slot, 'booting')) as [FakeProcess, FakeProcess, FakeProcess];
  const all = [share(two), share(one), new Promise((resolve) => { setTimeout(resolve, 30); }).then(() => share(zero))];
  await Promise.all(all);
  assert.equal(leaderOf('Registry', world.processes), zero.pid);
});

test('a slot below that never shares the client holds up nobody for long', async () => {
  const world = new FakeProcesses();
  world.worker(0, 'booting');
  const one = world.worker(1, 'booting');
  const began = performance.now();
  await share(one);
  assert.ok(performance.now() - began < 1_500);
  assert.equal(leaderOf('Registry', world.processes), one.pid);
});

test('a slot below that is ready without it is not waited for', async () => {
  const world = new FakeProcesses();
  const zero = world.worker(0, 'booting');
  const one = world.worker(1, 'booting');
  const shared = share(one);
  zero.ready();
  const began = performance.now();
  await shared;
  assert.ok(performance.now() - began < 500);
});

test('who leads goes on leading when a lower slot comes', async () => {
  const world = new FakeProcesses();
  const [one, two] = [world.worker(1), world.worker(2)];
  await share(one);
  await share(two);
  await share(world.worker(0));
  assert.equal(leaderOf('Registry', world.processes), one.pid);
});

test('an agent takes over when it is ready, and not before', async () => {
  const world = new FakeProcesses();
  const worker = world.worker(0);
  await share(worker);
  const agent = world.agent('booting');
  await share(agent);
  assert.equal(leaderOf('Registry', world.processes), worker.pid);
  agent.ready();
  await leads(world, agent, 'the agent leads');
});

test('the leader has ended: the lowest slot that is ready leads', async () => {
  const world = new FakeProcesses();
  const agent = world.agent();
  await share(agent);
  const workers = [2, 1, 0].map((slot) => world.worker(slot, slot === 0 ? 'booting' : 'ready'));
  await Promise.all(workers.map((worker) => share(worker)));
  agent.kill();
  await leads(world, workers[1]!, 'slot 1 leads: slot 0 is not ready');
});

test('a leader that closes goes when another one leads; the last one goes at once', async () => {
  const world = new FakeProcesses();
  const [zero, one] = [world.worker(0), world.worker(1)];
  await share(zero);
  await share(one);
  await zero.close();
  await leads(world, one, 'slot 1 leads');
  const began = performance.now();
  await one.close();
  assert.ok(performance.now() - began < 500);
});

for (const order of [[0, 1, 2], [1, 2, 0], [1, 0, 2]]) {
  test(`all close together, in the order ${order.join()}: the leader stays until the others have gone`, async () => {
    const world = new FakeProcesses();
    const all = [0, 1, 2].map((slot) => world.worker(slot));
    Registry.made = 0;
    await Promise.all(all.map((worker) => share(worker)));
    const gone: number[] = [];
    world.closing = true;
    for (const { view } of all) world.leadership.closing(view);
    await Promise.all(order.map(async (slot) => {
      // One after the other comes to its last step.
      for (let n = 0; n < order.indexOf(slot) * 3; n++) await turn();
      await all[slot]!.close();
      gone.push(slot);
    }));
    // The last of the others and the leader go together.
    assert.ok(gone.indexOf(0) > 0, gone.join());
    assert.equal(Registry.made, 1);
  });
}

test('who closes its client leaves the others theirs, and may share it again', async () => {
  const world = new FakeProcesses();
  const [zero, one] = [world.worker(0), world.worker(1)];
  const client = await share(zero);
  await share(one);
  await client.close();
  await leads(world, one, 'slot 1 leads');
  await share(zero);
  assert.equal(leaderOf('Registry', world.processes), one.pid);
});

test('a process shares clients of a thousand names at most', () => {
  const world = new FakeProcesses();
  const { view } = world.worker(0);
  for (let n = 0; n < 1_000; n++) world.leadership.join(view, { name: `n${n}`, leads: false });
  assert.throws(() => world.leadership.join(view, { name: 'more', leads: false }), /1000 names/);
});

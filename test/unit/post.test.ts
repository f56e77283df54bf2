import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { running, watched } from '../helpers/fake-core.js';
import { turns, type FakeChild } from '../helpers/fake-forker.js';

async function cluster(t: TestContext, { agent = true } = {}) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const fake = await running(t, { agent });
  const { forks } = fake;
  const forget = () => { for (const child of forks.all) child.envelopes.length = 0; };
  const started = forks.all.map(heard);
  forget();
  return { ...fake, forget, started };
}

const heard = ({ envelopes }: FakeChild) =>
  envelopes.map(({ action, data }) => Array.isArray(data) ? [action, ...data as unknown[]].join(' ') : action);

test('as the hooks fire at the start: agent-pids and agent-start, then app-pids, then cluster-ready for all', async (t) => {
  const { forks, started } = await cluster(t);
  const [agent, ...pids] = forks.all.map(({ pid }) => pid);
  assert.deepEqual(started[0], [`app-pids ${pids[0]}`, `app-pids ${pids[0]} ${pids[1]}`, 'cluster-ready']);
  assert.deepEqual(started[1], [`agent-pids ${agent}`, 'cluster-ready']);
  assert.deepEqual(started[2], [`agent-pids ${agent}`, 'cluster-ready']);
});

test('a worker dies and comes again: the agent hears both, the new one hears all that the others know', async (t) => {
  const { forks, forget } = await cluster(t);
  const [agent, dead, other] = forks.all as [FakeChild, FakeChild, FakeChild];
  dead.exits(1);
  await turns();
  assert.deepEqual(heard(agent), [`app-pids ${other.pid}`]);
  forget();
  t.mock.timers.tick(0);
  await turns();
  forks.last.ready();
  await turns();
  assert.deepEqual(heard(agent), [`app-pids ${forks.last.pid} ${other.pid}`]);
  assert.deepEqual(heard(forks.last), [`agent-pids ${agent.pid}`, 'cluster-ready']);
  assert.deepEqual(heard(other), []);
});

test('a reload: the agent hears of a successor when that has taken over, and nothing when its predecessor is gone', async (t) => {
  const { core, forks, forget } = await cluster(t);
  const [agent, old, other] = forks.all as [FakeChild, FakeChild, FakeChild];
  old.manners.obeys = false;
  const slot = core.workers.slots[0]!;
  const succeeds = slot.succeed(core.releases.current);
  await turns();
  forks.last.ready();
  const successor = await succeeds;
  await turns();
  assert.deepEqual(heard(agent), [], 'it soaks');
  const handed = watched(slot.handOver(successor, 'reload'));
  await turns();
  assert.deepEqual(heard(agent), [`app-pids ${successor.pid} ${other.pid}`]);
  forget();
  old.exits(0);
  await turns();
  assert.equal(handed.outcome.state, 'done');
  assert.deepEqual(heard(agent), []);
});

test('in development, where the old ones go first: none is told, then those that come', async (t) => {
  const { core, forks } = await cluster(t);
  const agent = forks.in(-1);
  const { slots } = core.workers;
  await Promise.all(slots.map((slot) => slot.vacate('reload')));
  assert.deepEqual(heard(agent), ['app-pids']);
  const replaced = slots.map((slot) => slot.replace(core.releases.current, 'reload'));
  await turns();
  for (const child of forks.alive.filter(({ spec }) => spec.slot >= 0)) child.ready();
  await Promise.all(replaced);
  await turns();
  assert.equal(heard(agent).at(-1), `app-pids ${forks.in(0).pid} ${forks.in(1).pid}`);
});

test('a worker that leaves by itself is not among them while it drains', async (t) => {
  const { forks } = await cluster(t);
  forks.in(0).leaves('signal');
  await turns();
  assert.deepEqual(heard(forks.in(-1)), [`app-pids ${forks.in(1).pid}`]);
});

test('the agent dies and comes again: the workers hear both, the new one hears all', async (t) => {
  const { forks } = await cluster(t);
  const [agent, one, two] = forks.all as [FakeChild, FakeChild, FakeChild];
  agent.exits(1);
  await turns();
  assert.deepEqual(heard(one), ['agent-pids']);
  t.mock.timers.tick(1_000);
  await turns();
  forks.last.ready();
  await turns();
  assert.deepEqual(heard(one).slice(1), [`agent-pids ${forks.last.pid}`, 'agent-start']);
  assert.deepEqual(heard(forks.last), [`app-pids ${one.pid} ${two.pid}`, 'cluster-ready']);
});

test('workers hear in a close too that the agent has died', async (t) => {
  const { core, forks } = await cluster(t);
  core.life.enter('close');
  forks.in(-1).exits(1);
  await turns();
  assert.deepEqual(forks.alive.map(heard), [['agent-pids'], ['agent-pids']]);
});

test('nothing is announced of deaths of workers while it closes', async (t) => {
  const { core, forks } = await cluster(t);
  core.life.enter('close');
  forks.in(0).exits(1);
  await turns();
  assert.deepEqual(forks.alive.map(heard), [[], []]);
});

for (const [end, how] of [
  ['exited', 'has exited'], ['pipe', 'has closed its pipe'], ['killed', 'was killed and is not gone yet'],
] as const) {
  test(`a message to the dead: one that ${how}; a request is refused at once, a message reaches the others`, async (t) => {
    const { core, forks, forget } = await cluster(t);
    const dead = forks.in(0);
    dead.manners.dies = false;
    if (end === 'exited') dead.exits(1, null, { pipe: 'never' });
    if (end === 'pipe') dead.closesPipe();
    if (end === 'killed') void core.workers.slots[0]!.current!.kill('unresponsive');
    if (end === 'exited') t.mock.timers.tick(50);
    await turns();
    forget();
    const asked = watched(core.post.messenger.request(dead.pid, 'question'));
    const toSlot = watched(core.post.messenger.request({ slot: 0 }, 'question'));
    await turns();
    assert.deepEqual([asked.code, toSlot.code], ['ERR_CLUSTER_NO_RECEIVER', 'ERR_CLUSTER_NO_RECEIVER']);
    core.post.messenger.sendToApp('news');
    core.post.messenger.sendTo(dead.pid, 'news');
    assert.deepEqual(heard(forks.in(1)).filter((action) => action === 'news'), ['news']);
    assert.deepEqual(heard(dead), []);
  });
}

test('a message to the dead agent: a request is refused, and says what may be wrong', async (t) => {
  const { core, forks } = await cluster(t);
  forks.in(-1).exits(1);
  await turns();
  const asked = watched(core.post.messenger.request('agent', 'question'));
  await turns();
  assert.ok(asked.outcome.state === 'failed' && /not running at the moment/.test(asked.outcome.error.message));
});

test('without an agent nothing is sent to one, and who asks is told', async (t) => {
  const { core } = await cluster(t, { agent: false });
  assert.throws(() => core.post.messenger.sendToAgent('news'), { code: 'ERR_CLUSTER_NO_AGENT' });
  core.post.messenger.broadcast('news');
});

test('from one child to another, by the pipe or by process.send; a tap may drop it', async (t) => {
  const { core, forks, forget } = await cluster(t);
  const [agent, one, two] = forks.all as [FakeChild, FakeChild, FakeChild];
  one.says({ action: 'by pipe', to: 'agent' });
  one.process.emit('message', { action: 'by send', to: 'app', receiverPid: two.pid });
  assert.deepEqual(heard(agent), ['by pipe']);
  assert.deepEqual(heard(two), ['by send']);
  assert.equal(two.envelopes[0]!.senderPid, one.pid);
  forget();
  core.hooks.message.tap('test', ({ action }) => action === 'secret' ? false : undefined);
  one.says({ action: 'secret', to: 'agent' });
  assert.deepEqual(heard(agent), []);
});

test('a listener of the master\'s own that throws is logged', async (t) => {
  const { core, forks, errors } = await cluster(t);
  core.post.messenger.on('news', () => { throw new Error('own mistake'); });
  forks.in(0).says({ action: 'news', to: 'master' });
  assert.deepEqual(errors, ['message "news": own mistake']);
});

test('the master asks and is answered', async (t) => {
  const { core, forks } = await cluster(t);
  const answer = core.post.messenger.request({ slot: 1 }, 'question', 1);
  const { request, data } = forks.in(1).envelopes.at(-1)!;
  forks.in(1).says({ action: 'question', to: 'master', reply: request, data: Number(data) + 1 });
  assert.equal(await answer, 2);
});

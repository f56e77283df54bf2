import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { childTable, type ChildEvent, type ChildState } from '../../lib/api/child.js';
import type { BootInfo, ChildRole } from '../../lib/ipc/messages.js';
import { Faults } from '../../lib/kit/faults.js';
import { Child } from '../../lib/master/processes/child.js';
import { watched } from '../helpers/fake-core.js';
import { FakeForks, turns } from '../helpers/fake-forker.js';

const START = 10_000;

function forked(t: TestContext, role: ChildRole = 'worker') {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const forks = new FakeForks();
  Object.assign(forks.manners, { obeys: false, dies: false });
  const said: string[] = [];
  const process_ = forks.start({ role, slot: 0, standby: false, entry: null, dir: process.cwd(), generation: 1, env: {}, execArgv: [] });
  const child = new Child(process_, { role, id: 1, slot: 0, generation: 1, baseDir: '/', entry: { kind: 'none' } } as BootInfo, {
    ready: () => { said.push('ready'); },
    leaving: (_, reason) => { said.push(`leaving ${reason}`); },
    onlyStreams: () => { said.push('only streams'); },
  }, START, new Faults(() => {}));
  return { child, fake: forks.last, said };
}

/** What leads to each state. */
const ways: Record<ChildState, ChildEvent[]> = {
  forked: [], booting: ['hello'], ready: ['hello', 'ready'], draining: ['hello', 'ready', 'close'], killing: ['hello', 'kill'],
  exited: ['exit'],
};

function happens(event: ChildEvent, { child, fake }: ReturnType<typeof forked>): void {
  if (event === 'hello') fake.hello();
  if (event === 'ready') fake.ready();
  if (event === 'close') void child.close('stop', 1_000);
  if (event === 'kill') void child.kill('stop');
  if (event === 'exit') fake.exits(0);
}

for (const [state, way] of Object.entries(ways) as [ChildState, ChildEvent[]][]) {
  for (const event of ['hello', 'ready', 'close', 'kill', 'exit'] as const) {
    // A ready that comes first says hello as well.
    const next = state === 'forked' && event === 'ready' ? 'ready' : childTable[state][event] ?? state;
    test(`a child that is ${state}, and ${event} happens: ${next}`, (t) => {
      const it = forked(t);
      for (const step of way) happens(step, it);
      assert.equal(it.child.state, state);
      happens(event, it);
      assert.equal(it.child.state, next);
    });
  }
}

test('it is told what to run before it has said a word', (t) => {
  assert.equal(forked(t).fake.boot?.id, 1);
});

for (const state of ['forked', 'booting', 'ready'] as const) {
  test(`the start's limit, for one that is ${state}`, async (t) => {
    const it = forked(t);
    for (const step of ways[state]) happens(step, it);
    t.mock.timers.tick(START);
    assert.equal(it.fake.killed, state !== 'ready');
    it.fake.exits(null, 'SIGKILL');
    assert.equal((await it.child.exited).cause, state === 'ready' ? 'crash' : 'startTimeout');
  });
}

for (const [state, limit] of [['ready', 4_000], ['booting', 1_000], ['forked', 1_000]] as const) {
  test(`a drain's limit, for one that was ${state}: ${limit} ms and half a second more`, (t) => {
    const it = forked(t);
    for (const step of ways[state]) happens(step, it);
    void it.child.close('reload', 4_000);
    t.mock.timers.tick(limit + 499);
    assert.equal(it.fake.killed, false);
    t.mock.timers.tick(1);
    assert.equal(it.fake.killed, true);
  });
}

test('one that leaves by itself has the limit that its slot gives it, and a stop is told to it as well', (t) => {
  const it = forked(t);
  it.fake.ready();
  it.fake.leaves('uncaught');
  it.fake.leaves('signal');
  assert.deepEqual(it.said, ['ready', 'leaving uncaught']);
  it.child.limit(2_000);
  void it.child.close('stop', 9_000);
  assert.deepEqual(it.fake.closes, ['stop']);
  t.mock.timers.tick(2_500);
  assert.equal(it.fake.killed, true, 'the first limit holds');
});

for (const [intent, signal, cause] of [
  [null, null, 'crash'], [null, 'SIGKILL', 'crash'], [null, 'SIGABRT', 'outOfMemory'], ['stop', null, 'requested'],
  ['reload', 'SIGKILL', 'requested'],
  ['unresponsive', 'SIGKILL', 'unresponsive'], ['uncaught', null, 'crash'],
] as const) {
  test(`the cause of an exit: intent ${intent}, signal ${signal}: ${cause}`, async (t) => {
    const { child, fake } = forked(t);
    fake.ready();
    if (intent === 'uncaught') fake.leaves(intent);
    else if (intent && signal) void child.kill(intent);
    else if (intent) void child.close(intent, 1_000);
    fake.exits(signal ? null : 1, signal);
    assert.equal((await child.exited).cause, cause);
  });
}

test('SIGABRT before it is ready says nothing of its memory', async (t) => {
  const { child, fake } = forked(t);
  fake.exits(null, 'SIGABRT');
  assert.equal((await child.exited).cause, 'crash');
});

test('a plugin may explain an end that nobody asked for', async (t) => {
  const { child, fake } = forked(t);
  child.explain = ({ signal }) => signal === 'SIGKILL' ? 'outOfMemory' : null;
  fake.ready();
  fake.exits(null, 'SIGKILL');
  assert.equal((await child.exited).cause, 'outOfMemory');
});

for (const pipe of ['before', 'after', 'never'] as const) {
  test(`exit, and the end of the pipe ${pipe === 'never' ? 'does not come: somebody else holds it' : `${pipe} it`}`, async (t) => {
    const { child, fake } = forked(t);
    fake.ready();
    const seen = watched(child.exited);
    fake.exits(3, null, { pipe });
    await turns();
    assert.equal(seen.outcome.state, pipe === 'never' ? 'pending' : 'done', 'what the pipe still holds is read first');
    t.mock.timers.tick(50);
    const { code, cause } = await child.exited;
    assert.deepEqual({ code, cause }, { code: 3, cause: 'crash' });
    t.mock.timers.tick(5_000);
    assert.equal(fake.killed, false);
  });
}

test('a failure that was told just before the end is known at the exit', async (t) => {
  const { child, fake } = forked(t);
  void child.exited.then(() => assert.equal(child.failure?.error.message, 'no database'));
  fake.process.exitCode = 1;
  fake.process.emit('exit', 1, null);
  fake.fails(new Error('no database'));
  fake.closesPipe();
  await child.exited;
});

test('the pipe ends and no exit comes: killed a second later, as a lost channel', async (t) => {
  const { child, fake } = forked(t);
  fake.ready();
  fake.closesPipe();
  t.mock.timers.tick(999);
  assert.equal(fake.killed, false);
  t.mock.timers.tick(1);
  assert.equal(fake.killed, true);
  fake.exits(null, 'SIGKILL');
  assert.equal((await child.exited).cause, 'lostChannel');
});

for (const state of ['ready', 'booting', 'draining'] as const) {
  test(`Node's channel ends alone, of one that is ${state}: ${state === 'ready' ? 'it leaves' : 'nothing'}`, (t) => {
    const it = forked(t);
    for (const step of ways[state]) happens(step, it);
    it.fake.disconnects();
    t.mock.timers.tick(50);
    assert.deepEqual(it.said.filter((one) => one !== 'ready'), state === 'ready' ? ['leaving signal'] : []);
  });
}

for (const order of ['disconnect first', 'exit first'] as const) {
  test(`a death is no leaving: ${order}`, async (t) => {
    const { child, fake, said } = forked(t);
    fake.ready();
    if (order === 'disconnect first') fake.disconnects();
    fake.exits(1);
    t.mock.timers.tick(1_000);
    assert.deepEqual(said, ['ready']);
    assert.equal((await child.exited).cause, 'crash');
  });
}

test('ready and the end of ready are told once, to those who wait', async (t) => {
  const { child, fake, said } = forked(t);
  const seen = [child.becameReady, child.leftReady, child.settled()].map((one) => watched(one));
  const states = () => seen.map(({ outcome }) => outcome.state);
  fake.ready({ port: 1 });
  fake.ready({ port: 1 });
  await turns();
  assert.deepEqual(states(), ['done', 'pending', 'done']);
  assert.deepEqual(child.addresses.map(({ protocol, port }) => ({ protocol, port })), [{ protocol: 'http', port: 1 }]);
  fake.leaves();
  await turns();
  assert.deepEqual(states(), ['done', 'done', 'done']);
  assert.deepEqual(said, ['ready', 'leaving signal']);
});

test('a process that never came to be: its error is the failure, and it is gone', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const forks = new FakeForks();
  forks.failing = 'no descriptors';
  const spec = { role: 'worker' as const, slot: 0, standby: false, entry: null, dir: process.cwd(), generation: 1, env: {}, execArgv: [] };
  const boot = { role: 'worker', id: 1, slot: 0, generation: 1, baseDir: '/', entry: { kind: 'none' } } as BootInfo;
  const child = new Child(forks.start(spec), boot, { ready() {}, leaving() {}, onlyStreams() {} }, START, new Faults(() => {}));
  assert.equal((await child.exited).code, 1);
  assert.equal(child.failure?.error.message, 'spawn EMFILE');
  assert.equal(child.pid, -1);
  await child.kill('stop');
});

test('a kill keeps the reason of a close before it, but for a hang', (t) => {
  const { child, fake } = forked(t);
  fake.ready();
  void child.close('reload', 1_000);
  void child.kill('stop');
  assert.equal(child.intent, 'reload');
  void child.kill('unresponsive');
  assert.equal(child.intent, 'unresponsive');
});

test('one that is done but for who reads its output gets six seconds more, once', async (t) => {
  const it = forked(t);
  for (const step of ['hello', 'ready', 'close'] as const) happens(step, it);
  t.mock.timers.tick(900);
  it.fake.channel.send('child.lastLines', null);
  t.mock.timers.tick(6_400);
  assert.equal(it.child.state, 'draining');
  it.fake.channel.send('child.lastLines', null);
  t.mock.timers.tick(200);
  assert.equal(it.child.state, 'killing');
});

test('it says so while it has more time than that: the time stays', async (t) => {
  const it = forked(t);
  for (const step of ['hello', 'ready'] as const) happens(step, it);
  void it.child.close('stop', 30_000);
  it.fake.channel.send('child.lastLines', null);
  t.mock.timers.tick(30_000);
  assert.equal(it.child.state, 'draining');
});

import assert from 'node:assert/strict';
import test from 'node:test';
import type { Envelope } from '../../lib/ipc/messages.js';
import { Router, type Recipient } from '../../lib/messenger/router.js';

function network({ agent = true, drop = '', draining = false } = {}) {
  const got: [who: string, envelope: Envelope][] = [];
  const one = (who: string, pid: number, slot: number, ready = true): Recipient =>
    ({ pid, slot, ready, deliver: (envelope) => got.push([who, envelope]) > 0 });
  const workers =
    [...draining ? [one('old worker0', 8, 0, false)] : [], one('worker0', 10, 0), one('worker1', 11, 1), one('worker2', 12, 2, false)];
  const router = new Router({
    workers: () => workers,
    agent: () => agent ? one('agent', 9, -1) : null,
    master: (envelope) => got.push(['master', envelope]),
    parent: (envelope) => got.push(['parent', envelope]),
    allow: (envelope) => envelope.action !== drop,
  });
  return { router, got, who: () => got.map(([name]) => name) };
}

test('without an addressee: app -> agent, agent -> app, parent -> master', () => {
  for (const [from, expected] of [['app', ['agent']], ['agent', ['worker0', 'worker1', 'worker2']], ['parent', ['master']]] as const) {
    const { router, who } = network();
    router.route({ action: 'a' }, from, 1);
    assert.deepEqual(who(), expected);
  }
});

test('to a group, to a pid (also as a text), to a slot', () => {
  const cases: [Envelope, string[]][] = [
    [{ action: 'a', to: 'app' }, ['worker0', 'worker1', 'worker2']],
    [{ action: 'a', to: 'agent' }, ['agent']],
    [{ action: 'a', to: 'master' }, ['master']],
    [{ action: 'a', to: 'parent' }, ['parent']],
    [{ action: 'a', receiverPid: 11 }, ['worker1']],
    [{ action: 'a', receiverPid: '9' }, ['agent']],
    [{ action: 'a', to: 'app', receiverPid: 'slot:2' }, ['worker2']],
    [{ action: 'a', to: 'app', receiverPid: 9 }, []],
  ];
  for (const [envelope, expected] of cases) {
    const { router, who } = network();
    router.route(envelope, 'app', 10);
    assert.deepEqual(who(), expected, JSON.stringify(envelope));
  }
});

test('to one by chance: a ready worker', () => {
  const { router, who } = network();
  for (let i = 0; i < 100; i++) router.route({ action: 'a', to: 'app', receiverPid: 'random' }, 'agent', 9);
  assert.deepEqual(new Set(who()), new Set(['worker0', 'worker1']));
});

test('the master writes down who sent it; a sender cannot claim to be another', () => {
  const { router, got } = network();
  router.route({ action: 'a', from: 'master', senderPid: 1 }, 'app', 10);
  assert.equal(got[0]?.[1].from, 'app');
  assert.equal(got[0]?.[1].senderPid, 10);
});

test('a bare text is its own action and data; foreign messages are left alone', () => {
  const { router, got } = network();
  router.route('hello', 'app', 10);
  router.route({ type: 'foreign' }, 'app', 10);
  router.route(null, 'app', 10);
  router.route(42, 'app', 10);
  assert.deepEqual(got.map(([who, { action, data }]) => [who, action, data]), [['agent', 'hello', 'hello']]);
});

test('a dropped message reaches nobody', () => {
  const { router, who } = network({ drop: 'secret' });
  router.route({ action: 'secret', to: 'app' }, 'agent', 9);
  assert.deepEqual(who(), []);
});

test('a slot whose old worker still drains has one receiver', () => {
  const { router, who } = network({ draining: true });
  router.route({ action: 'x', to: 'app', receiverPid: 'slot:0' }, 'agent', 9);
  assert.deepEqual(who(), ['worker0']);
});

test('a group that there is not gets nothing', () => {
  const { router, who } = network();
  router.route({ action: 'x', to: 'workers' }, 'app', 10);
  assert.deepEqual(who(), []);
});

test('a request to an agent that is not there is refused with what to do', () => {
  const { router, got } = network({ agent: false });
  router.route({ action: 'ask', to: 'agent', request: 7 }, 'app', 10);
  const [who, answer] = got[0]!;
  assert.equal(who, 'worker0');
  assert.equal(answer.reply, 7);
  assert.equal(answer.error?.code, 'ERR_CLUSTER_NO_RECEIVER');
  assert.match(answer.error?.message ?? '', /agent: true/);
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { ProcessMessenger } from '../../lib/messenger/messenger.js';
import type { Envelope } from '../../lib/ipc/messages.js';

/** Two messengers, each the other's receiver. */
function pair() {
  const a: ProcessMessenger = new ProcessMessenger((envelope: Envelope) => b.receive({ ...envelope, senderPid: 1 }));
  const b: ProcessMessenger = new ProcessMessenger((envelope: Envelope) => a.receive({ ...envelope, senderPid: 2 }));
  return { a, b };
}

test('on, once and off', () => {
  const { a, b } = pair();
  const heard: unknown[] = [];
  const listener = (data: unknown) => { heard.push(data); };
  b.on('x', listener).once('x', (data) => { heard.push(`once ${String(data)}`); });
  a.sendToApp('x', 1);
  a.sendToApp('x', 2);
  b.off('x', listener);
  a.sendToApp('x', 3);
  assert.deepEqual(heard, [1, 'once 1', 2]);
});

test('a request is answered with what the listener returns, a promise too', async () => {
  const { a, b } = pair();
  b.on('double', async (data) => (data as number) * 2);
  assert.equal(await a.request('agent', 'double', 21), 42);
});

test('a request fails with the error of the listener, its name, code and message', async () => {
  const { a, b } = pair();
  b.on('fail', () => { throw Object.assign(new RangeError('too far'), { code: 'E_FAR' }); });
  await assert.rejects(a.request('agent', 'fail'), { name: 'RangeError', message: 'too far', code: 'E_FAR' });
});

test('a request that nobody listens to says so', async () => {
  const { a } = pair();
  await assert.rejects(a.request('agent', 'nothing'), { code: 'ERR_CLUSTER_NO_HANDLER' });
});

test('a request has a deadline', async () => {
  const { a, b } = pair();
  b.on('never', () => new Promise(() => {}));
  await assert.rejects(a.request('agent', 'never', undefined, { timeout: 20 }), { code: 'ERR_CLUSTER_REQUEST_TIMEOUT' });
});

test('whom a message is for: a pid may be a text, and nobody else is taken for everybody', async () => {
  const sent: Envelope[] = [];
  const messenger = new ProcessMessenger((envelope) => { sent.push(envelope); });
  messenger.sendTo('4711' as never, 'x');
  assert.equal(sent[0]?.receiverPid, 4711);
  for (const target of ['apps', '', null, {}, { slot: '0' }, -1, undefined]) {
    assert.throws(() => messenger.sendTo(target as never, 'x'), { code: 'ERR_CLUSTER_NO_RECEIVER' });
    await assert.rejects(messenger.request(target as never, 'x'), { code: 'ERR_CLUSTER_NO_RECEIVER' });
  }
  assert.equal(sent.length, 1);
});

test('once is taken back by off, and leaves what on has registered', () => {
  const { a, b } = pair();
  const heard: unknown[] = [];
  const listener = (data: unknown) => { heard.push(data); };
  b.once('x', listener).off('x', listener);
  a.sendToApp('x', 1);
  b.on('x', listener).once('x', listener);
  a.sendToApp('x', 2);
  a.sendToApp('x', 3);
  assert.deepEqual(heard, [2, 2, 3]);
});

test('what no process would take for a message is refused where it is sent', async () => {
  const { a, b } = pair();
  b.on('x', () => assert.fail('it has come'));
  for (const meta of [5, null, 'text', [1]]) {
    assert.throws(() => a.sendToApp('x', 1, { meta: meta as never }), { code: 'ERR_CLUSTER_USAGE', message: /an object as its `meta`/ });
  }
  for (const action of [5, undefined, Symbol('x'), 'x'.repeat(1_025)]) {
    assert.throws(() => a.broadcast(action as never), { code: 'ERR_CLUSTER_USAGE', message: /as the action/ });
    await assert.rejects(a.request('app', action as never), { code: 'ERR_CLUSTER_USAGE' });
  }
  assert.throws(() => a.on(5 as never, () => {}), { code: 'ERR_CLUSTER_USAGE' });
  b.off('x', () => {}).on('y', () => 'heard');
  assert.equal(await a.request('app', 'y', 1, null as never), 'heard');
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { createRuntime, eventually, fakeChild } from '../../bin/testing/index.js';

test('a part taps requests of an app that is served', async (t) => {
  const worker = createRuntime({ slot: 3, config: { title: 'shop' } });
  t.after(() => worker.close());
  const { runtime } = worker;
  assert.deepEqual([runtime.role, runtime.slot, runtime.config.title], ['worker', 3, 'shop']);
  runtime.hooks.request.tap('guard', (request, response) => {
    if (request.url !== '/secret') return undefined;
    response.writeHead(403).end();
    return true;
  });
  const listening: string[] = [];
  runtime.hooks.listening.tap('guard', (_, address) => { listening.push(`${address.protocol} ${address.port}`); });
  const address = await worker.serve((_, response) => { response.end('app'); });
  assert.equal((await fetch(`${address}/secret`)).status, 403);
  assert.equal(await (await fetch(address)).text(), 'app');
  assert.deepEqual(listening, [`http ${new URL(address).port}`]);
  assert.equal(runtime.servers.size, 1);
});

test('it boots, hears and says, and closes in the order of a process', async () => {
  const agent = createRuntime({ role: 'agent' });
  const { runtime } = agent;
  const told: unknown[] = [];
  runtime.hooks.boot.tap('part', ({ role }) => { told.push(`boot ${role}`); });
  runtime.hooks.beforeClose.tapPromise('part', async ({ reason }) => { told.push(`beforeClose ${reason}`); });
  runtime.signal.addEventListener('abort', () => told.push('signal'));
  runtime.onClose(() => told.push('first'));
  runtime.onClose(() => told.push('last'));
  runtime.messenger.on('greet', (data) => { told.push(data); });
  agent.receive('greet', 'kept until it has booted');
  await agent.boot();
  await eventually(() => told.includes('kept until it has booted'));
  runtime.messenger.broadcast('done', 1);
  await eventually(() => agent.sent.length > 0);
  assert.equal(agent.sent[0]?.action, 'done');
  runtime.logger.warn('careful', { left: 2 });
  assert.deepEqual(agent.logged.map(({ level, message, left }) => [level, message, left]), [['WARN', 'careful', 2]]);
  await agent.close('reload');
  assert.deepEqual(told, ['boot agent', 'kept until it has booted', 'signal', 'beforeClose reload', 'last', 'first']);
});

test('what a part adds to the context is on that of the app', () => {
  const worker = createRuntime();
  worker.runtime.extendContext('shareClient', (() => 'mine') as never);
  assert.equal((worker.context.shareClient as unknown as () => string)(), 'mine');
});

test('the part and the master talk by their channel', async () => {
  const worker = createRuntime();
  const address = { protocol: 'http', host: '127.0.0.1', port: 1 } as const;
  const heard: unknown[] = [];
  worker.master.on('child.failed', (failure) => { heard.push(failure.phase); });
  worker.runtime.channel.send('child.failed', { phase: 'run', error: { name: 'Error', message: 'lost' } });
  await eventually(() => heard.length > 0);
  assert.deepEqual(heard, ['run']);
  const child = fakeChild({ slot: 2, addresses: [address] });
  assert.deepEqual([child.slot, child.role, child.state, child.addresses], [2, 'worker', 'ready', [address]]);
  const reasons: unknown[] = [];
  child.peer.on('child.close', ({ reason }) => { reasons.push(reason); });
  child.channel.send('child.close', { reason: 'stop', timeout: 1, streamTimeout: 1 });
  await eventually(() => reasons.length > 0);
  child.state = 'exited';
  assert.deepEqual([reasons, child.state], [['stop'], 'exited']);
});

test('what does not come is told with the last reason', async () => {
  await assert.rejects(eventually(() => { throw new Error('still closed'); }, { timeout: 40, what: 'the door opens' }),
    (error: Error) => error.message === 'not within 40 ms: the door opens' && (error.cause as Error).message === 'still closed');
});

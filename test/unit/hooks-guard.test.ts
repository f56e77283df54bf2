import assert from 'node:assert/strict';
import test from 'node:test';
import type { ClusterError } from '../../lib/kit/errors.js';
import { createHooks, noteOfHook, type HookName } from '../../lib/api/hooks.js';
import { guard } from '../../lib/master/plugins/guard.js';

function guarded(timeout = 1_000) {
  const hooks = createHooks();
  const errors: ClusterError[] = [];
  const taps = guard(hooks, { timeout, onError: (error) => errors.push(error) });
  return { hooks, errors, taps };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

test('what is awaited is a gate, or decides after having waited', () => {
  const hooks = createHooks();
  const awaited = (Object.keys(hooks) as HookName[]).filter((name) => (hooks[name] as { call?: unknown }).call === undefined);
  for (const name of awaited) assert.equal(noteOfHook(hooks[name]).kind, name === 'beforeReload' ? 'decide' : 'gate', name);
  assert.deepEqual((Object.keys(hooks) as HookName[]).filter((name) => noteOfHook(hooks[name]).kind === 'gate' && !awaited.includes(name)),
    []);
});

test('every hook says its kind and when it is called', () => {
  for (const [name, hook] of Object.entries(createHooks())) assert.ok(noteOfHook(hook)?.when, name);
});

test('a gate waits for an async function that was given to tap', async () => {
  const { hooks } = guarded();
  const order: string[] = [];
  hooks.beforeClose.tap('slow', (async () => {
    await settled();
    order.push('slow');
  }) as () => void);
  hooks.beforeClose.tap('next', () => { order.push('next'); });
  await hooks.beforeClose.promise('test');
  assert.deepEqual(order, ['slow', 'next']);
});

test('an error in a gate carries the name of plugin and hook', async () => {
  const { hooks } = guarded();
  hooks.beforeStart.tapPromise('my-plugin', async () => { throw new Error('no database'); });
  await assert.rejects(hooks.beforeStart.promise({} as never),
    { code: 'ERR_CLUSTER_HOOK', message: /"my-plugin".*beforeStart.*no database/ });
});

test('a gate gives up a tap that hangs, by name; one with a callback too', async () => {
  const { hooks } = guarded(20);
  hooks.beforeStart.tapAsync('hanging', () => {});
  await assert.rejects(hooks.beforeStart.promise({} as never),
    { code: 'ERR_CLUSTER_HOOK_TIMEOUT', message: /"hanging".*beforeStart.*20 ms/ });
});

for (const name of ['beforeClose', 'closed', 'beforeDrain', 'reloaded'] as const) {
  test(`${name} goes on: a tap that throws or hangs is told, and the next one runs`, async () => {
    const { hooks, errors } = guarded(20);
    const hook = hooks[name] as ReturnType<typeof createHooks>['beforeClose'];
    const ran: string[] = [];
    hook.tap('throws', () => { throw new Error('x'); });
    hook.tapPromise('hangs', () => new Promise(() => {}));
    hook.tap('deregisters', () => { ran.push('deregisters'); });
    await hook.promise('test');
    assert.deepEqual(ran, ['deregisters']);
    assert.deepEqual(errors.map(({ message }) => /"(\w+)"/.exec(message)?.[1]), ['throws', 'hangs']);
  });
}

test('an observer cannot break the master: throw and rejection are told and the next tap runs', async () => {
  const { hooks, errors } = guarded();
  let ran = false;
  hooks.workerReady.tap('throws', () => { throw new Error('sync'); });
  hooks.workerReady.tap('rejects', (async () => { throw new Error('async'); }) as () => void);
  hooks.workerReady.tap('last', () => { ran = true; });
  hooks.workerReady.call({} as never);
  await settled();
  assert.ok(ran);
  assert.deepEqual(errors.map((error) => /"(\w+)"/.exec(error.message)?.[1]), ['throws', 'rejects']);
});

test('a deciding hook takes the first defined value and passes over a tap that throws', () => {
  const { hooks, errors } = guarded();
  hooks.beforeRefork.tap('broken', () => { throw new Error('x'); });
  hooks.beforeRefork.tap('silent', () => undefined);
  hooks.beforeRefork.tap('decides', () => ({ delay: 7 }));
  hooks.beforeRefork.tap('late', () => 'leave');
  assert.deepEqual(hooks.beforeRefork.call({} as never, {} as never), { delay: 7 });
  assert.equal(errors.length, 1);
});

test('collectStatus keeps its value when a tap throws; configResolved throws with the name', () => {
  const { hooks, errors } = guarded();
  hooks.collectStatus.tap('broken', () => { throw new Error('x'); });
  assert.deepEqual(hooks.collectStatus.call({ title: 'kept' } as never), { title: 'kept' });
  assert.equal(errors.length, 1);
  hooks.configResolved.tap('picky', () => { throw new Error('not with me'); });
  assert.throws(() => hooks.configResolved.call({} as never), { code: 'ERR_CLUSTER_HOOK', message: /"picky"/ });
});

test('taps are recorded with their plugin, calls and time', async () => {
  const { hooks, taps } = guarded();
  hooks.beforeClose.tap('one', () => {});
  await hooks.beforeClose.promise('a');
  await hooks.beforeClose.promise('b');
  const [record] = taps;
  assert.deepEqual([record?.hook, record?.plugin, record?.calls], ['beforeClose' satisfies HookName, 'one', 2]);
});

for (const [what, thrown] of [
  ['an object without a prototype', Object.create(null)],
  ['a Proxy whose traps throw', new Proxy({}, { get() { throw new Error('get'); }, getPrototypeOf() { throw new Error('prototype'); } })],
  ['an Error whose message throws', Object.defineProperty(new Error('x'), 'message', { get() { throw new Error('a getter'); } })],
] as const) {
  test(`a tap that throws ${what} breaks nothing: its plugin is named`, async () => {
    const { hooks, errors } = guarded();
    const throws = () => { throw thrown; };
    hooks.workerForked.tap('odd', throws);
    hooks.beforeClose.tap('odd', throws);
    hooks.workerForked.call({} as never);
    await hooks.beforeClose.promise('test');
    assert.equal(errors.length, 2);
    for (const { message } of errors) assert.match(message, /^plugin "odd" failed in hook \w+: ./);
  });
}

import assert from 'node:assert/strict';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { scale } from '../../lib/master/operations/scale.js';
import { reloadOptions } from '../../lib/master/checked-calls.js';
import { Routes } from '../../lib/master/plugins/parts.js';
import type { Hooks } from '../../lib/api/hooks.js';
import type { Master } from '../../lib/api/plugin.js';
import type { Plugin } from '../../lib/api/plugin.js';
import type { LoadedConfig } from '../../lib/config/load.js';
import { createCore } from '../../lib/master/core.js';
import { applyPlugin, prepare } from '../../lib/master/plugins/load.js';
import { fakeCore, loadedWith, running } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';

/** Applies a plugin made of its `apply` alone, and gives its face. */
async function face(t: TestContext, apply: (master: Master) => void | Promise<void> = () => {}, name = 'mine') {
  const fake = fakeCore(t, { options: { hookTimeout: 50 } });
  let master!: Master;
  await applyPlugin(fake.core, { name, apply: (own: Master) => { master = own; return apply(own); } }, {});
  return { ...fake, master };
}

for (const how of ['tap', 'tapPromise', 'tapAsync', 'withOptions', 'intercept'] as const) {
  test(`a hook tapped with ${how} after apply: ERR_CLUSTER_TAP_LATE, which names plugin and hook`, async (t) => {
    const { master, core } = await face(t);
    const hook = master.hooks.beforeClose as unknown as Record<string, (...args: unknown[]) => void>;
    assert.throws(() => hook[how]!('mine', () => {}),
      { code: 'ERR_CLUSTER_TAP_LATE', message: /plugin "mine" taps hook beforeClose after its apply/ });
    assert.equal(core.hooks.beforeClose.taps.length, 0);
  });
}

test('a hook kept from apply is closed as well; one tapped while apply waits is not', async (t) => {
  let kept!: Hooks['workerReady'];
  const { core } = await face(t, async ({ hooks }) => {
    kept = hooks.workerReady;
    await turns(1);
    kept.tap('mine', () => {});
  });
  assert.throws(() => kept.tap('mine', () => {}), { code: 'ERR_CLUSTER_TAP_LATE' });
  assert.equal(core.hooks.workerReady.taps.filter(({ name }) => name === 'mine').length, 1);
});

test('withOptions gives a hook that bears the plugin\'s name and closes with it', async (t) => {
  let kept!: Hooks['workerReady'];
  const { core } = await face(t, ({ hooks }) => {
    kept = hooks.workerReady.withOptions({ stage: 7 }) as Hooks['workerReady'];
    kept.tap('yet another', () => {});
  });
  const [tap] = core.hooks.workerReady.taps.filter(({ stage }) => stage === 7);
  assert.equal(tap?.name, 'mine');
  assert.throws(() => kept.tap('mine', () => {}), { code: 'ERR_CLUSTER_TAP_LATE' });
});

test('who owns the master may tap when he likes', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  const { core, forks } = await running(t);
  const died: number[] = [];
  core.hooks.workerExit.tap('owner', ({ slot }) => { died.push(slot); });
  forks.in(1).exits(1);
  await turns();
  assert.deepEqual(died, [1]);
});

test('taps bear the plugin\'s name, whatever it calls them, and keep their stage', async (t) => {
  const { core } = await face(t, ({ hooks }) => {
    hooks.beforeClose.tap('somebody else', () => {});
    hooks.beforeClose.tapPromise({ name: 'nobody', stage: -10 }, async () => {});
  });
  assert.deepEqual(core.taps.filter(({ hook }) => hook === 'beforeClose').map(({ plugin }) => plugin), ['mine', 'mine']);
  assert.deepEqual(core.hooks.beforeClose.taps.map(({ stage }) => stage), [-10, undefined]);
});

test('a hook that there is not: undefined for who asks, and named for who taps it', async (t) => {
  await face(t, ({ hooks }) => { assert.equal((hooks as unknown as Record<string, unknown>).ofTheFuture, undefined); });
  await assert.rejects(face(t, ({ hooks }) => {
    (hooks as unknown as Record<string, Hooks['workerReady']>).workerRedy!.tap('x', () => {});
  }),
    { code: 'ERR_CLUSTER_PLUGIN', message: 'plugin "mine" failed in apply: there is no hook "workerRedy", did you mean "workerReady"?' });
});

test('an apply that throws, or hangs, is named', async (t) => {
  await assert.rejects(face(t, () => { throw new Error('no config'); }),
    { code: 'ERR_CLUSTER_PLUGIN', message: /plugin "mine" failed in apply: no config/ });
  await assert.rejects(face(t, () => new Promise(() => {})),
    { code: 'ERR_CLUSTER_HOOK_TIMEOUT', message: /"mine" did not finish apply within 50 ms/ });
});

declare module '../../lib/index.js' {
  interface Shared {
    'unit.number': number;
    'unit.nothing': string;
  }
}

test('share and shared: from one to the others, each name once', async (t) => {
  const { core } = await face(t, (master) => master.share('unit.number', 42), 'giver');
  await applyPlugin(core, { name: 'taker', apply: (master: Master) => {
    assert.equal(master.shared('unit.number'), 42);
    assert.equal(master.shared('unit.nothing'), undefined);
    assert.throws(() => master.share('unit.number', 43),
      { code: 'ERR_CLUSTER_PLUGIN', message: 'plugin "taker" shares "unit.number", which plugin "giver" shares already' });
  } }, {});
  assert.equal(core.shared.get('unit.number')?.value, 42);
});

test('a plugin that another one applies has a face of its own', async (t) => {
  const { core } = await face(t, (master) => master.applyPlugin({
    name: 'inner', apply: ({ hooks }) => { hooks.beforeClose.tap('x', () => {}); },
  }, {}));
  assert.deepEqual(core.hooks.beforeClose.taps.map(({ name }) => name), ['inner']);
});

test('the face shows the present, not the moment of apply', async (t) => {
  const { core, master } = await face(t);
  assert.deepEqual([master.state, master.started, master.closing, master.generation, master.address], ['idle', false, false, 1, null]);
  core.releases.change({ generation: 5, loaded: loadedWith({ port: 9 }) });
  core.workers.addSlots(1);
  core.life.enter('close');
  assert.deepEqual([master.state, master.closing, master.generation, master.config.port, master.slots.length], ['closing', true, 5, 9, 1]);
  master.deadlines.drain = 7;
  master.spares.enabled = true;
  master.fillsLeftSlots = true;
  assert.deepEqual([core.deadlines.drain, core.spares.enabled, core.workers.leftReturn], [7, true, true]);
});

test('routes, connections and parts are the plugin\'s own', async (t) => {
  const { core, master } = await face(t);
  master.route({ method: 'GET', path: '/mine', open: true, handler: () => ({ body: 'x' }) });
  master.routeConnections({ pick: () => 0 });
  assert.equal(core.routes.list[0]!.path, '/mine');
  assert.throws(() => core.routing.add('other', { pick: () => 1 }), /"mine" and "other"/);
  assert.throws(() => master.inject('worker', import.meta.url, { fn: () => {} }),
    { code: 'ERR_CLUSTER_NOT_CLONEABLE', message: /plugin "mine"/ });
  assert.throws(() => master.inject('master' as never, import.meta.url),
    { code: 'ERR_CLUSTER_PLUGIN', message: /expected "worker" or "agent"/ });
  assert.throws(() => master.inject('worker', path.join(import.meta.dirname, 'nothing.js')),
    { code: 'ERR_CLUSTER_PLUGIN', message: /there is no file/ });
  master.inject('agent', import.meta.url, {}, { passive: true });
  assert.equal(core.parts.wantAgent, false);
  master.inject('agent', import.meta.url);
  assert.equal(core.parts.wantAgent, true);
});

/** A core with plugin objects in its configuration, as a JS config gives them. */
function withPlugins(t: TestContext, plugins: Record<string, unknown>, options: LoadedConfig['config']['plugins'] = {}) {
  const loaded = loadedWith({ plugins: Object.fromEntries(Object.keys(plugins).map((name) => [name, options[name] ?? true])) });
  const core = createCore({ ...loaded, pluginObjects: plugins as LoadedConfig['pluginObjects'] }, { ownsProcess: false });
  t.after(() => core.listeners.end());
  return core;
}

test('load: in the order of the configuration, classes and objects, each with its options', async (t) => {
  const seen: unknown[] = [];
  class Second implements Plugin {
    name = 'second';
    apply(_: Master, options: unknown) { seen.push(['second', options]); }
  }
  await prepare(withPlugins(t, {
    first: { name: 'first', apply: (_: Master, options: unknown) => { seen.push(['first', options]); } }, second: Second, off: {},
  },
    { second: { limit: 3 }, off: false }));
  assert.deepEqual(seen, [['first', {}], ['second', { limit: 3 }]]);
});

for (const [what, plugin, error] of [
  ['no plugin', { name: 'x' }, { code: 'ERR_CLUSTER_PLUGIN', message: /exports no plugin/ }],
  ['a class that throws', class { constructor() { throw new Error('never'); } apply() {} }, {
    code: 'ERR_CLUSTER_PLUGIN', message: /cannot be made: never/,
  }],
  ['one without a name', { apply() {} }, { code: 'ERR_CLUSTER_PLUGIN', message: /expected a plugin with a name/ }],
  ['another Node', { name: 'x', engines: { node: '>=999' }, apply() {} }, { code: 'ERR_CLUSTER_ENGINE', message: /needs node >=999/ }],
  ['a range that is none', { name: 'x', engines: { node: 'new' }, apply() {} }, {
    code: 'ERR_CLUSTER_ENGINE', message: /"new" is no version range/,
  }],
] as const) {
  test(`load: ${what} is refused`, async (t) => {
    await assert.rejects(prepare(withPlugins(t, { mine: plugin })), error);
  });
}

test('a start that two picking plugins are in names both', async (t) => {
  const picks = (name: string) => ({ name, apply: (master: Master) => master.routeConnections({ pick: () => 0 }) });
  await assert.rejects(prepare(withPlugins(t, { sticky: picks('sticky'), tenants: picks('tenants') })),
    { message: /"sticky" and "tenants" both pick/ });
});

test('a plugin that another one applies is checked like any other, and not after apply', async (t) => {
  const schema = { '~standard': { version: 1 as const, vendor: 'unit', validate: (value: unknown) => {
    const { a = 7 } = value as { a?: unknown };
    return typeof a === 'number' ? { value: { a } } : { issues: [{ message: 'expected a number', path: ['a'] }] };
  } } };
  const got: unknown[] = [];
  const inner = { name: 'inner', schema, apply: (_: Master, options: unknown) => { got.push(options); } };
  const { master } = await face(t, (own) => own.applyPlugin(inner, undefined as never));
  assert.deepEqual(got, [{ a: 7 }]);
  await assert.rejects(face(t, (own) => own.applyPlugin(inner, { a: 'x' } as never)),
    { code: 'ERR_CLUSTER_PLUGIN', message: /applyPlugin: inner: a: expected a number/ });
  const newer = { ...inner, engines: { node: '>=99' } };
  await assert.rejects(face(t, (own) => own.applyPlugin(newer, {} as never)), { code: 'ERR_CLUSTER_ENGINE' });
  await assert.rejects(master.applyPlugin(inner, {} as never), { code: 'ERR_CLUSTER_TAP_LATE' });
});

test('a tap without a name or without a function is refused in apply', async (t) => {
  for (const args of [[() => {}], ['mine'], [undefined, () => {}]]) {
    const apply = ({ hooks }: Master) => (hooks.workerReady.tap as (...all: unknown[]) => void)(...args);
    await assert.rejects(face(t, apply), { code: 'ERR_CLUSTER_PLUGIN' });
  }
});

test('a deadline that is no time is refused: a timer would make an end of it at once', async (t) => {
  for (const wrong of [Infinity, NaN, -1, '5s', undefined, 2 ** 40]) {
    await assert.rejects(face(t, ({ deadlines }) => { deadlines.drain = wrong as number; }),
      { code: 'ERR_CLUSTER_PLUGIN', message: /deadlines\.drain: expected milliseconds from 0 to \d+, found / });
  }
  await assert.rejects(face(t, ({ deadlines }) => { Object.assign(deadlines, { drian: 5 }); }), { message: /expected one of drain, / });
});

test('what a plugin does to the list of slots is its own affair', async (t) => {
  const { core } = await running(t);
  const { makeFace } = await import('../../lib/master/plugins/face.js');
  const { face: master } = makeFace(core, 'mine', async () => {});
  (master.slots as unknown[]).reverse();
  assert.deepEqual(master.slots.map(({ index }) => index), core.workers.slots.map(({ index }) => index));
  assert.equal('remove' in master.slots[0]!, false);
  assert.equal(master.slots[0], master.slots[0], 'the same view each time');
});

test('what cannot be meant is refused where it is given, with a code', async (t) => {
  const { core, master } = await face(t);
  const usage = { code: 'ERR_CLUSTER_USAGE' };
  const plugin = { code: 'ERR_CLUSTER_PLUGIN' };
  for (const call of ['kill', 'replace'] as const) {
    for (const child of [{}, null, 42]) await assert.rejects(master[call](child as never, 'stop'), usage);
  }
  for (const options of [42, { code: 'banana' }, { code: -1 }, { code: 1.5 }, { force: 'yes' }]) {
    await assert.rejects(master.close('x', options as never), usage);
  }
  assert.equal(core.life.closing, false);
  assert.throws(() => master.takeUnserved(42 as never), usage);
  assert.throws(() => master.messenger.on('x', 42 as never), usage);
  await assert.rejects(master.messenger.request('master', 'x', 1, { timeout: 'x' as never }), usage);
  for (const routing of [42, { pick: 4 }, { patience: 'x' }, { prepare: {} }]) {
    assert.throws(() => master.routeConnections(routing as never), plugin);
  }
  const long = `/tmp/${'x'.repeat(200)}`;
  for (const [file, mode] of [[42, 0o600], ['/tmp/a\0b', 0o600], [long, 0o600], ['/tmp/ht-s', 'rw'], ['/tmp/ht-s', 0o7777]]) {
    await assert.rejects(master.holdSocket(file as never, mode as never), plugin);
  }
  await assert.rejects(master.holdSocket('/proc/nowhere/s', 0o600), { code: 'ERR_CLUSTER_START', message: /plugin "mine", holdSocket/ });
});

test('a route that no request can reach is refused, whatever it hides', () => {
  const routes = new Routes();
  const route = (at: string) => ({ method: 'GET' as const, path: at, open: false, handler: () => ({ status: 200, body: {} }) });
  for (const at of ['/a/../stop', '/..', '//evil', '/%61', '/./x', '/%2e%2e/stop', '/%']) {
    assert.throws(() => routes.add('odd', route(at)), {
      code: 'ERR_CLUSTER_PLUGIN', message: /plugin "odd", route: .* no request ever has it/,
    }, at);
  }
  for (const at of ['/mine', '/a/b.c', '/a%20b', '/%C3%A4', '/x:y@z']) routes.add('fine', route(at));
  assert.equal(routes.list.length, 5);
});

test('a handler that answers nothing is told with its plugin, and what is the control socket\'s own is refused', async () => {
  const routes = new Routes();
  routes.add('mine', { method: 'GET', path: '/mine', open: false, handler: (() => undefined) as never });
  const [route] = routes.list;
  await assert.rejects(async () => route?.handler(new URLSearchParams(), {} as never),
    { message: 'plugin "mine", GET /mine: expected an answer such as { body }, found nothing' });
  assert.throws(() => routes.add('mine', { method: 'GET', path: '/launch', open: false, handler: () => ({ body: '' }) }),
    { message: 'plugin "mine", route: GET /launch belongs to the control socket already' });
});

test('what reload and scale cannot mean is refused in one line', async (t) => {
  const { core } = await running(t);
  for (const [given, message] of [
    [['x', { env: null }], 'reload: expected an object of variables as `env`, found null'],
    [['x', { env: { A: 1 } }], 'reload: expected a text without NUL as env.A, found 1'],
    [[Symbol('s')], 'reload: expected a text as the reason, found Symbol(s)'],
    [['x', { agent: 'yes' }], 'reload: expected true or false as `agent`, found "yes"'],
  ] as const) {
    assert.throws(() => reloadOptions('reload', given[0] as string, given[1]), { code: 'ERR_CLUSTER_USAGE', message });
  }
  for (const change of [-1, [2], 1.5, NaN, null, Symbol('s')]) {
    await assert.rejects(scale(core, change as number), { code: 'ERR_CLUSTER_USAGE', message: /^scale: expected a whole number/ });
  }
});

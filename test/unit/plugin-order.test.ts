import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { Master, Plugin } from '../../lib/api/plugin.js';
import { createCore } from '../../lib/master/core.js';
import { applyPlugin, prepare } from '../../lib/master/plugins/load.js';
import { loadedWith } from '../helpers/fake-core.js';

type Given = Partial<Plugin> & { on?: boolean };

/** Names in the order of their `apply`, of plugins that stand in a configuration in the order given. */
async function applied(t: TestContext, all: Record<string, Given>): Promise<string[]> {
  const order: string[] = [];
  const apply = ({ name }: Master): void => { order.push(name); };
  const pluginObjects = Object.fromEntries(Object.entries(all)
    .map(([key, { on: _, ...plugin }]) => [key, { name: key, apply, ...plugin }]));
  const plugins = Object.fromEntries(Object.entries(all).map(([key, { on = true }]) => [key, on]));
  const loaded = { ...loadedWith({ plugins }), pluginObjects };
  const core = createCore(loaded, { ownsProcess: false });
  t.after(() => core.listeners.end());
  await prepare(core);
  return order;
}

test('the order of the configuration holds', async (t) => {
  assert.deepEqual(await applied(t, { c: {}, a: {}, b: {} }), ['c', 'a', 'b']);
});

test('needs, before and after move a plugin, and nobody else', async (t) => {
  assert.deepEqual(await applied(t, { log: { after: ['auth'] }, x: {}, auth: {}, y: {} }), ['auth', 'log', 'x', 'y']);
  assert.deepEqual(await applied(t, { x: {}, y: {}, first: { before: ['x'] } }), ['first', 'x', 'y']);
  assert.deepEqual(await applied(t, { a: { needs: ['c'] }, b: {}, c: {} }), ['c', 'a', 'b']);
  assert.deepEqual(await applied(t, { a: { needs: ['b'] }, b: { needs: ['c'] }, c: {} }), ['c', 'b', 'a']);
});

test('before and after those that are not on say nothing', async (t) => {
  assert.deepEqual(await applied(t, { a: { after: ['gone'], before: ['off'] }, off: { on: false }, b: {} }), ['a', 'b']);
});

test('what is needed and not on: ERR_CLUSTER_PLUGIN with both names and the nearest one', async (t) => {
  await assert.rejects(applied(t, { limiter: { needs: ['counter'] }, counters: {} }), {
    code: 'ERR_CLUSTER_PLUGIN', message: /plugin "limiter" needs plugin "counter", which is not on; did it mean "counters"\?/,
  });
  await assert.rejects(applied(t, { limiter: { needs: ['counter'] }, counter: { on: false } }), { code: 'ERR_CLUSTER_PLUGIN' });
});

test('plugins that want to be before each other are told as a round', async (t) => {
  await assert.rejects(applied(t, { a: { after: ['b'] }, b: { after: ['c'] }, c: { after: ['a'] } }),
    { code: 'ERR_CLUSTER_PLUGIN', message: /before each other: "a" after "b" after "c" after "a"/ });
  await assert.rejects(applied(t, { a: { needs: ['a'] } }), { code: 'ERR_CLUSTER_PLUGIN', message: /"a" after "a"/ });
});

test('one plugin twice, under two names', async (t) => {
  class Counter {
    readonly #count = 1;
    name = 'counter';
    apply({ name }: Master): void { seen.push(`${name} ${this.name} ${this.#count}`); }
  }
  const seen: string[] = [];
  const objects = { limiter: { name: 'limiter', apply: ({ name }: Master) => { seen.push(name); } } };
  const pluginObjects = { 'limiter#api': objects.limiter, 'limiter#web': objects.limiter, './counter.js#one': Counter as never };
  const plugins = { 'limiter#api': true, 'limiter#web': true, './counter.js#one': true };
  const core = createCore({ ...loadedWith({ plugins }), pluginObjects }, { ownsProcess: false });
  t.after(() => core.listeners.end());
  await prepare(core);
  assert.deepEqual(seen, ['limiter#api', 'limiter#web', 'counter#one counter#one 1']);
});

test('the same name twice is refused, with a key that would do', async (t) => {
  await assert.rejects(applied(t, { a: { name: 'one' }, b: { name: 'one' } }),
    { code: 'ERR_CLUSTER_PLUGIN', message: /a second plugin with the name "one".*"b#two"/ });
});

const FAULTS: readonly [given: object, says: RegExp][] = [
  [{ needs: 'metrics' }, /expected a list of plugins' names as `needs`, found "metrics"/],
  [{ before: [1] }, /expected a list of plugins' names as `before`/],
  [{ commands: [] }, /expected an object of commands/],
  [{ commands: { 'Big One': {} } }, /expected a command such as "migrate", found "Big One"/],
  [{ commands: { migrate: () => {} } }, /expected \{ description, load \} as the command "migrate"/],
  [{ afer: [] }, /unknown key "afer", did you mean "after"\?/],
];
for (const [given, says] of FAULTS) {
  test(`a plugin with ${JSON.stringify(given)} is refused`, async (t) => {
    await assert.rejects(applied(t, { mine: given }), { code: 'ERR_CLUSTER_PLUGIN', message: says });
  });
}

test('applyPlugin needs what has been applied, checks options and fills in defaults', async (t) => {
  const core = createCore(loadedWith(), { ownsProcess: false });
  t.after(() => core.listeners.end());
  const schema = { '~standard': { version: 1 as const, vendor: 'test', validate: (given: unknown) => {
    const { limit = 3 } = given as { limit?: number };
    return typeof limit === 'number' ? { value: { limit } } : { issues: [{ path: ['limit'], message: 'expected a number' }] };
  } } };
  const seen: unknown[] = [];
  const inner: Plugin<{ limit: number }> = { name: 'inner', schema, apply: (_, options) => { seen.push(options); } };
  const preset = (options?: Partial<{ limit: number }>): Plugin =>
    ({ name: 'preset', apply: (master) => master.applyPlugin(inner, options) });
  await applyPlugin(core, preset(), {});
  assert.deepEqual(seen, [{ limit: 3 }]);
  const other = createCore(loadedWith(), { ownsProcess: false });
  t.after(() => other.listeners.end());
  await assert.rejects(applyPlugin(other, preset({ limit: 'many' as never }), {}),
    { code: 'ERR_CLUSTER_PLUGIN', message: 'applyPlugin: inner: limit: expected a number, found "many"' });
  await assert.rejects(applyPlugin(other, { name: 'late', needs: ['nobody'], apply: () => {} }, {}), /needs plugin "nobody"/);
});

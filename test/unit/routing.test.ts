import assert from 'node:assert/strict';
import test from 'node:test';
import type { RawHandle } from '../../lib/node/raw-sockets.js';
import { Routing } from '../../lib/master/connections/routing.js';

const client = { close() {} } as RawHandle;
const at = new Routing(() => {}, () => 2).view({
  where: () => ({ port: 7001 }), unpicked: 3, waitsSince: Infinity, load: (slot) => ({ ready: slot === 0, busy: false, waiting: slot }),
});

test('nobody looks and nobody picks: any worker, for ever', () => {
  const routing = new Routing(() => {}, () => 8);
  assert.equal(routing.prepares, false);
  assert.equal(routing.pick(client, () => false, undefined, at), undefined);
  assert.equal(routing.patience, Infinity);
});

test('a second plugin does not take the place of the first: all see a connection, in their order', () => {
  const routing = new Routing(() => {}, () => 8);
  const seen: string[] = [];
  routing.add('blocklist', { prepare: (_, admit) => { seen.push('blocklist'); admit(); } });
  routing.add('sticky', { pick: () => 1, patience: 500 });
  routing.add('geo', { prepare: (_, admit) => { seen.push('geo'); admit('FR'); } });
  routing.prepare(client, (note) => { seen.push(`admitted with ${String(note)}`); }, () => { seen.push('dropped'); }, at);
  assert.deepEqual(seen, ['blocklist', 'geo', 'admitted with FR']);
  assert.equal(routing.pick(client, () => false, undefined, at), 1);
  assert.equal(routing.patience, 500);
  assert.equal(routing.prepares, true);
});

for (const [notes, last] of [
  [['a', 'b'], 'b'], [['a', undefined], 'a'], [[undefined, 'b'], 'b'], [[undefined, undefined], undefined],
  [[{ a: 1, c: 1 }, { b: 2, c: 2 }], { a: 1, b: 2, c: 2 }], [[{ a: 1 }, 'b'], 'b'], [[{ a: 1 }, undefined], { a: 1 }],
] as const) {
  test(`notes ${JSON.stringify(notes)}: the worker gets ${JSON.stringify(last)}`, () => {
    const routing = new Routing(() => {}, () => 8);
    for (const [at, note] of notes.entries()) routing.add(`plugin ${at}`, { prepare: (_, admit) => { admit(note); } });
    let got: unknown = 'none';
    routing.prepare(client, (note) => { got = note; }, () => {}, at);
    assert.deepEqual(got, last);
  });
}

test('a plugin that drops a connection: those behind it do not see it', () => {
  const routing = new Routing(() => {}, () => 8);
  const seen: string[] = [];
  routing.add('blocklist', { prepare: (_, __, drop) => { drop(); } });
  routing.add('geo', { prepare: () => { seen.push('geo'); } });
  routing.prepare(client, () => { seen.push('admitted'); }, () => { seen.push('dropped'); }, at);
  assert.deepEqual(seen, ['dropped']);
});

test('a plugin may take its time', async () => {
  const routing = new Routing(() => {}, () => 8);
  routing.add('slow', { prepare: (_, admit) => { setImmediate(() => admit('late')); } });
  routing.add('quick', { prepare: (_, admit) => { admit(); } });
  assert.equal(await new Promise((resolve) => routing.prepare(client, resolve, () => {}, at)), 'late');
});

test('a plugin that admits twice is heard once: the next one sees a connection once', () => {
  const routing = new Routing(() => {}, () => 8);
  let seen = 0;
  routing.add('eager', { prepare: (_, admit) => { admit(); admit(); } });
  routing.add('next', { prepare: (_, admit) => { seen++; admit(); } });
  routing.prepare(client, () => {}, () => {}, at);
  assert.equal(seen, 1);
});

test('two that pick are an error that names both, and the first goes on', () => {
  const routing = new Routing(() => {}, () => 8);
  routing.add('sticky', { pick: () => 1 });
  assert.throws(() => routing.add('tenants', { pick: () => 2, prepare: () => {} }),
    { code: 'ERR_CLUSTER_PLUGIN', message: /"sticky" and "tenants" both pick/ });
  assert.equal(routing.pick(client, () => false, undefined, at), 1);
  assert.equal(routing.prepares, false, 'nothing of the refused one is left');
});

test('patience is that of who picks', () => {
  const routing = new Routing(() => {}, () => 8);
  routing.add('looks', { patience: 1, prepare: (_, admit) => admit() });
  assert.equal(routing.patience, Infinity);
  routing.add('picks', { pick: () => 0 });
  assert.equal(routing.patience, Infinity);
});

test('what a plugin gives keeps its this', () => {
  const routing = new Routing(() => {}, () => 8);
  routing.add('object', {
    patience: 7,
    pick() { return this.patience; },
    prepare(_, admit) { admit(this.patience); },
  } as Parameters<Routing['add']>[1] & { patience: number });
  assert.equal(routing.pick(client, () => false, undefined, at), 7);
  let note: unknown;
  routing.prepare(client, (own) => { note = own; }, () => {}, at);
  assert.equal(note, 7);
});

const versions = [['20.19.0', false], ['22.11.0', false], ['22.12.0', true], ['24.0.0', true]] as const;
for (const [node, fine] of versions) {
  test(`reuse-port on Node ${node}: ${fine ? 'can be had' : 'refused, and "auto" is round-robin'}`, () => {
    const routing = new Routing(() => {}, () => 8);
    const decide = (balance: 'reuse-port' | 'auto') => routing.decide({ balance, path: undefined }, { node, platform: 'linux' });
    if (fine) decide('reuse-port');
    else assert.throws(() => decide('reuse-port'), { code: 'ERR_CLUSTER_BALANCE', message: /needs Node.js 22.12/ });
    decide('auto');
    assert.deepEqual([routing.balance.configured, routing.balance.used], ['auto', fine ? 'reuse-port' : 'round-robin']);
    assert.match(routing.balance.why, fine ? /tcp_migrate_req/ : /needs Node.js 22.12 or later, this is 2/);
  });
}

test('reuse-port elsewhere than on Linux: refused', () => {
  const decide = () => new Routing(() => {}, () => 8).decide({ balance: 'reuse-port' }, { node: '24.0.0', platform: 'darwin' });
  assert.throws(decide, { code: 'ERR_CLUSTER_BALANCE', message: /needs Linux, this is darwin/ });
});

for (const [what, facts] of [['unix', { path: '/run/app.sock' }], ['inherited', { inherited: true }]] as const) {
  test(`an address that is an ${what} socket cannot be one for each slot: round-robin, which the status tells`, () => {
    const routing = new Routing(() => {}, () => 8);
    for (const balance of ['reuse-port', 'auto'] as const) {
      routing.decide({ balance, ...facts }, { node: '24.0.0', platform: 'linux', ...facts });
      assert.deepEqual([routing.balance.used, routing.balance.configured], ['round-robin', balance]);
      assert.match(routing.balance.why, new RegExp(`^an? ${what} socket cannot`));
    }
  });
}

for (const balance of ['os', 'reuse-port'] as const) {
  test(`connections are routed and the balance is "${balance}": refused, with the plugin's name; "auto" gives way`, () => {
    const routing = new Routing(() => {}, () => 8);
    routing.add('blocklist', { prepare: () => {} });
    const decide = (wanted: typeof balance | 'auto' | 'round-robin') =>
      routing.decide({ balance: wanted }, { node: '24.0.0', platform: 'linux' });
    assert.throws(() => decide(balance), { code: 'ERR_CLUSTER_BALANCE', message: /"blocklist" routes connections/ });
    decide('round-robin');
    decide('auto');
    assert.deepEqual([routing.balance.used, /"blocklist"/.test(routing.balance.why)], ['round-robin', true]);
  });
}

/** A routing with one plugin whose faults are kept. */
function faulty(plugin: Parameters<Routing['add']>[1]) {
  const faults: string[] = [];
  const routing = new Routing(({ message }) => { faults.push(message); }, () => 2);
  routing.add('mine', plugin);
  return { routing, faults };
}

for (const [what, pick] of Object.entries<() => unknown>({
  'throws': () => { throw new Error('oops'); }, 'is no number': () => '0', 'is no whole one': () => 0.5, 'is no slot': () => 2,
  'is below': () => -1, 'is nothing a slot can be': () => null,
  'is a promise': () => Promise.reject(new Error('later')), 'is NaN': () => NaN,
})) {
  test(`a pick that ${what}: any worker takes the connection, and one line names the plugin`, () => {
    const { routing, faults } = faulty({ pick: pick as () => number });
    for (let i = 0; i < 3; i++) assert.equal(routing.pick(client, () => false, undefined, at), undefined);
    assert.equal(faults.length, 1);
    assert.match(faults[0] ?? '', /plugin "mine" failed in pick of routeConnections/);
  });
}

for (const [what, prepare] of Object.entries<() => unknown>({
  throws: () => { throw new Error('oops'); }, rejects: () => Promise.reject(new Error('later')),
})) {
  test(`a prepare that ${what} lets nobody through, and one line names the plugin`, async () => {
    const { routing, faults } = faulty({ prepare: prepare as () => void });
    let closed = 0;
    let dropped = 0;
    routing.prepare({ close: () => { closed++; } } as never, () => assert.fail('admitted'), () => { dropped++; }, at);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([closed, dropped, faults.length], [1, 1, 1]);
  });
}

for (const [what, note] of Object.entries({ 'cannot be sent': 1n, 'is too long': 'x'.repeat(10_000) })) {
  test(`a note that ${what} stays here, and the connection goes on`, () => {
    const { routing, faults } = faulty({ prepare: (_, admit) => { admit(note); } });
    let got: unknown = 'nothing';
    routing.prepare(client, (own) => { got = own; }, () => assert.fail('dropped'), at);
    assert.equal(got, undefined);
    assert.equal(faults.length, 1);
  });
}

test('who prepares and who picks is told the address, and every slot there is', () => {
  const seen: unknown[] = [];
  const routing = new Routing(() => {}, () => 2);
  routing.add('filter', { prepare: (_, admit, __, its) => { seen.push(its.address); admit(); } });
  routing.add('least', { pick: (_, __, ___, its) => { seen.push(its.waiting, its.slots); return 1; } });
  routing.prepare(client, () => {}, () => {}, at);
  assert.equal(routing.pick(client, () => false, undefined, at), 1);
  assert.deepEqual(seen, [{ port: 7001 }, 3, [
    { index: 0, ready: true, busy: false, waiting: 0 }, { index: 1, ready: false, busy: false, waiting: 1 },
  ]]);
});

test('a prepare that never decides: its connection is closed after 30 s, and one line names the plugin', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { routing, faults } = faulty({ prepare: () => {} });
  const ended: string[] = [];
  routing.prepare({ close: () => { ended.push('closed'); } } as never, () => assert.fail('admitted'), () => { ended.push('dropped'); }, at);
  t.mock.timers.tick(29_999);
  assert.deepEqual(ended, []);
  t.mock.timers.tick(1);
  assert.deepEqual(ended, ['closed', 'dropped']);
  assert.match(faults[0] ?? '', /plugin "mine" failed in prepare.*within 30000 ms/);
});

test('connections are routed and the app accepts them itself: refused', () => {
  const routing = new Routing(() => {}, () => 0);
  routing.add('blocklist', { prepare: () => {} });
  assert.throws(() => routing.decide({ balance: 'auto' }, { alone: true }), { code: 'ERR_CLUSTER_ALONE', message: /"blocklist" routes/ });
});

test('who comes late is refused where the master does not accept', () => {
  const routing = new Routing(() => {}, () => 2);
  routing.decide({ balance: 'os' });
  const late = () => routing.add('late', { prepare: () => {} });
  assert.throws(late, { code: 'ERR_CLUSTER_BALANCE', message: /"late" routes connections.*found "os"/ });
  assert.equal(routing.prepares, false);
  routing.decide({ balance: 'round-robin' });
  late();
  assert.throws(() => routing.give('os', 'another cluster has it'), { code: 'ERR_CLUSTER_BALANCE' });
});

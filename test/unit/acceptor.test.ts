import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { ConnectionRouting, TakeUnserved } from '../../lib/api/plugin.js';
import { Faults } from '../../lib/kit/faults.js';
import { Acceptor } from '../../lib/master/connections/acceptor.js';
import type { Answer, Handover } from '../../lib/master/connections/handover.js';
import { Room } from '../../lib/master/connections/room.js';
import { Routing } from '../../lib/master/connections/routing.js';
import type { Child } from '../../lib/master/processes/child.js';
import type { RawHandle } from '../../lib/node/raw-sockets.js';

type Gift = Parameters<Handover['give']>[0];

/** A worker of a slot, as far as an acceptor knows one. */
function worker(slot: number) {
  const gifts: Gift[] = [];
  const child = { slot, handover: { give: (gift: Gift) => { gifts.push(gift); } } } as unknown as Child;
  const clients = () => gifts.map(({ client }) => (client as unknown as { name: string }).name);
  return { child, gifts, clients, answer: (answer: Answer = 'taken') => gifts.at(-1)?.answered(answer) };
}

function acceptor(t: TestContext, { patience = 10_000, ...taps }: ConnectionRouting & { patience?: number } = {}) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  let now = 1_000;
  t.mock.method(performance, 'now', () => now);
  const routing = new Routing(() => {}, () => 8);
  if (taps.pick || taps.prepare) routing.add('test', { ...taps, patience: 500 });
  const state = { held: true, fallback: null as TakeUnserved | null };
  let listening = true;
  const handle: RawHandle = { close: () => { listening = false; } };
  const it = new Acceptor(handle, {
    routing, room: new Room(() => 8, { warn() {} }), faults: new Faults(() => {}),
    held: () => state.held, fallback: () => state.fallback, patience,
  });
  const closed: string[] = [];
  const client = (name: string) => ({ name, close: () => { closed.push(name); } }) as RawHandle;
  const accept = (...names: string[]) => { for (const name of names) handle.onconnection?.(0, client(name)); };
  const later = (ms: number) => { now += ms; t.mock.timers.tick(ms); };
  t.after(() => it.close());
  return { it, handle, state, closed, client, accept, later, listening: () => listening };
}

test('the one that is free longest gets it; one that has not answered gets no second', (t) => {
  const { it, accept, closed } = acceptor(t);
  const [a, b] = [worker(0), worker(1)];
  it.join(a.child);
  it.join(b.child);
  accept('1', '2', '3');
  assert.deepEqual([a.clients(), b.clients(), it.waiting], [['1'], ['2'], 1]);
  b.answer();
  assert.deepEqual([b.clients(), it.waiting], [['2', '3'], 0]);
  assert.deepEqual(closed, ['2'], 'the master\'s end of it');
});

test('since when somebody waits: for a worker, or for one to answer; not who was given back idle', (t) => {
  const { it, accept, later, client } = acceptor(t);
  const a = worker(0);
  it.join(a.child);
  assert.equal(it.waitsSince, Infinity);
  accept('1');
  later(30);
  accept('2');
  assert.equal(performance.now() - it.waitsSince, 30, 'on its way');
  a.answer();
  assert.equal(performance.now() - it.waitsSince, 0, 'the second is on its way now');
  later(10);
  accept('3');
  later(10);
  assert.equal(performance.now() - it.waitsSince, 20);
  a.answer();
  a.answer();
  assert.equal(it.waitsSince, Infinity);
  it.leave(a.child);
  it.acceptAgain(client('idle'), undefined);
  assert.ok(it.waitsSince > performance.now());
});

test('nobody there yet: they wait, and go in their order', (t) => {
  const { it, accept } = acceptor(t);
  accept('1', '2');
  const a = worker(0);
  it.join(a.child);
  it.join(a.child);
  a.answer();
  assert.deepEqual(a.clients(), ['1', '2']);
});

for (const [answer, told] of [['lost', 'lost with its worker'], ['refused', 'refused']] as const) {
  test(`a connection that was ${told} is taken by another, before those that came later`, (t) => {
    const { it, accept, closed } = acceptor(t);
    const [a, b] = [worker(0), worker(1)];
    it.join(a.child);
    it.join(b.child);
    accept('1', '2', '3');
    a.answer(answer);
    assert.deepEqual(closed, []);
    b.answer();
    assert.deepEqual(b.clients(), ['2', '1']);
  });
}

test('two deaths at once: what both had goes to who comes next, oldest first', (t) => {
  const { it, accept, closed } = acceptor(t);
  const [a, b, c] = [worker(0), worker(1), worker(0)];
  it.join(a.child);
  it.join(b.child);
  accept('1', '2', '3');
  it.leave(a.child);
  it.leave(b.child);
  b.answer('lost');
  a.answer('lost');
  it.join(c.child);
  for (let count = 0; count < 2; count++) c.answer();
  assert.deepEqual(c.clients(), ['1', '2', '3']);
  assert.deepEqual(closed, ['1', '2']);
});

test('one that refused is offered the next a moment later', (t) => {
  const { it, accept, later } = acceptor(t);
  const a = worker(0);
  it.join(a.child);
  accept('1');
  a.answer('refused');
  assert.deepEqual(a.clients(), ['1']);
  later(10);
  assert.deepEqual(a.clients(), ['1', '1']);
});

test('who has left gets nothing more, and may still answer', (t) => {
  const { it, accept, closed } = acceptor(t);
  const a = worker(0);
  it.join(a.child);
  accept('1', '2');
  assert.equal(it.leave(a.child), true);
  assert.equal(it.leave(a.child), false);
  a.answer();
  assert.deepEqual([a.clients(), closed, it.waiting], [['1'], ['1'], 1]);
});

test('a picked slot keeps its connections while its worker is busy; the other slots go on', (t) => {
  const { it, accept } = acceptor(t, { pick: (client) => Number((client as unknown as { name: string }).name[0]) });
  const [a, b] = [worker(0), worker(1)];
  it.join(a.child);
  it.join(b.child);
  accept('0a', '0b', '1a', '0c');
  assert.deepEqual([a.clients(), b.clients(), it.waiting], [['0a'], ['1a'], 2]);
  a.answer();
  a.answer();
  assert.deepEqual(a.clients(), ['0a', '0b', '0c']);
});

test('a slot\'s successor takes over when its predecessor leaves, with what waits', (t) => {
  const { it, accept } = acceptor(t, { pick: () => 0 });
  const [old, next] = [worker(0), worker(0)];
  it.join(old.child);
  it.join(next.child);
  accept('1', '2', '3');
  assert.deepEqual([old.clients(), next.clients()], [['1'], []]);
  it.leave(old.child);
  next.answer();
  assert.deepEqual(next.clients(), ['2', '3']);
  old.answer('lost');
  next.answer();
  assert.deepEqual(next.clients(), ['2', '3', '1'], 'what the old one never read is not lost');
});

test('a successor that dies while its predecessor drains: what waits stays for the next', (t) => {
  const { it, accept, closed } = acceptor(t, { pick: () => 0 });
  const [old, next, third] = [worker(0), worker(0), worker(0)];
  it.join(old.child);
  it.join(next.child);
  it.leave(old.child);
  accept('1', '2');
  it.leave(next.child);
  next.answer('lost');
  it.join(third.child);
  third.answer();
  assert.deepEqual([third.clients(), closed], [['1', '2'], ['1']]);
});

test('a slot that takes nothing for its patience gives its connections to the others', (t) => {
  const stalled: boolean[] = [];
  const { it, accept, later } = acceptor(t, { pick: (_, unavailable) => { stalled.push(unavailable(0)); return unavailable(0) ? 1 : 0; } });
  const [a, b] = [worker(0), worker(1)];
  it.join(a.child);
  it.join(b.child);
  accept('1', '2');
  later(400);
  assert.deepEqual(b.clients(), []);
  later(400);
  assert.deepEqual(b.clients(), ['2']);
  assert.deepEqual(stalled, [false, false, true]);
  a.answer();
  accept('3');
  assert.deepEqual(a.clients(), ['1', '3'], 'it has answered: it is available');
});

test('nobody waits for ever', (t) => {
  const { accept, closed, later, it } = acceptor(t, { patience: 5_000 });
  accept('1');
  later(4_000);
  accept('2');
  later(2_000);
  assert.deepEqual(closed, ['1']);
  later(4_000);
  assert.deepEqual([closed, it.waiting], [['1', '2'], 0]);
});

test('prepared first; one that is dropped, or closed with the address, is not routed later', (t) => {
  const asked: [admit: (note?: unknown) => void, drop: () => void][] = [];
  const { it, accept, closed } = acceptor(t, { prepare: (_, admit, drop) => { asked.push([admit, drop]); } });
  const a = worker(0);
  it.join(a.child);
  accept('1', '2', '3');
  asked[1]![0]('noted');
  asked[0]![1]();
  asked[0]![0]();
  assert.deepEqual([a.clients(), a.gifts[0]!.note], [['2'], 'noted']);
  it.close();
  asked[2]![0]();
  assert.deepEqual([a.clients(), closed], [['2'], ['3']]);
});

test('the address outlives its last worker while it is held; after that nobody is kept waiting', (t) => {
  const { it, handle, accept, state, closed, listening } = acceptor(t);
  handle.close();
  assert.equal(listening(), true);
  accept('1');
  const a = worker(0);
  it.join(a.child);
  state.held = false;
  it.leave(a.child);
  accept('2');
  assert.deepEqual(closed, ['2']);
  handle.close();
  assert.equal(listening(), false);
});

test('an address that was given up: what a worker loses then is closed, as nobody will come for it', (t) => {
  const { it, accept, closed } = acceptor(t);
  const a = worker(0);
  it.join(a.child);
  accept('1');
  it.leave(a.child);
  it.close();
  a.answer('lost');
  assert.deepEqual([closed, it.waiting], [['1'], 0]);
});

test('a fallback takes what comes, and what waits, while nobody is there', (t) => {
  const { it, accept, state } = acceptor(t);
  accept('1');
  const taken: string[] = [];
  state.fallback = (client) => { taken.push((client as unknown as { name: string }).name); };
  it.flush();
  accept('2');
  assert.deepEqual(taken, ['1', '2']);
  it.join(worker(0).child);
  accept('3');
  assert.equal(taken.length, 2);
});

test('what waits may be given to another address; a connection that comes back is not prepared again', (t) => {
  let prepared = 0;
  const { it, accept, client } = acceptor(t, { prepare: (_, admit) => { prepared++; admit(); } });
  accept('1', '2');
  const a = worker(0);
  it.acceptAgain(client('3'), 'noted before');
  it.join(a.child);
  a.answer();
  a.answer();
  assert.deepEqual([a.clients(), prepared], [['1', '2', '3'], 2]);
});

/** The ready slot with the fewest that wait; an idle one before a busy one. */
const least: ConnectionRouting['pick'] = (_, __, ___, { slots }) =>
  slots.filter(({ ready }) => ready).sort((a, b) => a.waiting - b.waiting || Number(a.busy) - Number(b.busy))[0]?.index;

test('who picks knows who is there, busy, and has how many waiting', (t) => {
  const seen: unknown[] = [];
  const { it, accept } = acceptor(t, { pick: (_, __, ___, { slots }) => (seen.push(slots.slice(0, 3)), 1) });
  it.join(worker(1).child);
  accept('1', '2', '3');
  assert.deepEqual(seen.at(-1), [
    { index: 0, ready: false, busy: false, waiting: 0 }, { index: 1, ready: true, busy: true, waiting: 1 },
    { index: 2, ready: false, busy: false, waiting: 0 },
  ]);
  assert.deepEqual(it.view.slots[1], { index: 1, ready: true, busy: true, waiting: 2 });
  assert.equal(it.view.waiting, 0);
});

for (const answer of ['lost', 'taken'] as const) {
  test(`a worker dies, what it was handed is ${answer}: who picks is asked again at once for what waits for its slot`, (t) => {
    const { it, accept, closed } = acceptor(t, { pick: least });
    const [a, b] = [worker(0), worker(1)];
    it.join(a.child);
    it.join(b.child);
    accept('1', '2', '3', '4');
    assert.deepEqual([a.clients(), b.clients(), it.view.slots[0]?.waiting, it.view.slots[1]?.waiting], [['1'], ['2'], 1, 1]);
    it.leave(a.child);
    assert.deepEqual([it.view.slots[0]?.waiting, it.view.slots[1]?.waiting], [0, 2]);
    a.answer(answer);
    for (let count = 0; count < 4; count++) b.answer();
    assert.deepEqual(b.clients(), answer === 'lost' ? ['2', '1', '4', '3'] : ['2', '4', '3']);
    assert.equal(new Set(closed).size, 4);
  });
}

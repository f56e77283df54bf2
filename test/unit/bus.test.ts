import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import test from 'node:test';
import type { Envelope } from '../../lib/ipc/messages.js';
import { Network, type Station } from '../helpers/bus.js';

const heard = ({ got }: Station) => got.map(({ action, data }) => [action, data]);
const note = (data: unknown, to: Partial<Envelope>): Envelope => ({ action: 'note', data, id: `id-${String(data)}`, ...to });

test('to the agent, to all workers, to a slot, to a pid, to all: one message, with one id', async (t) => {
  const network = new Network(t);
  const [agent, one, two] = await network.up(-1, 0, 1) as [Station, Station, Station];
  one.bus.send(note(1, { to: 'agent' }));
  one.bus.send(note(2, { to: 'app' }));
  one.bus.send(note(3, { to: 'app', receiverPid: 'slot:1' }));
  one.bus.send(note(4, { receiverPid: agent.member.pid }));
  one.bus.send(note(5, { to: 'all' }));
  await Promise.all([agent.hears(3), one.hears(2), two.hears(3)]);
  assert.deepEqual([agent, one, two].map(({ got }) => got.map(({ data }) => data)), [[1, 4, 5], [2, 5], [2, 3, 5]]);
  assert.deepEqual([agent, one, two].map(({ got }) => got.at(-1)!.id), ['id-5', 'id-5', 'id-5']);
  assert.deepEqual(agent.got[0], { action: 'note', data: 1, id: 'id-1', to: 'agent', from: 'app', senderPid: one.member.pid });
});

test('meta goes along, and data arrive as they were when they were sent', async (t) => {
  const network = new Network(t);
  const [agent, one] = await network.up(-1, 0) as [Station, Station];
  const data = { count: 1, map: new Map([[{ key: 1 }, new Set([2n])]]), when: new Date(5), list: new Float64Array([1.5]) };
  one.bus.send({ ...note(data, { to: 'agent' }), meta: { trace: 't1' } });
  one.bus.send(note(data, { to: 'app' }));
  data.count++;
  const [first] = await agent.hears(1);
  const [own] = await one.hears(1);
  for (const envelope of [first!, own!]) assert.deepEqual(envelope.data, { ...data, count: 1 });
  assert.deepEqual(first!.meta, { trace: 't1' });
});

test('what is sent before anybody is known, before a process is there, and before it listens, comes in order', async (t) => {
  const network = new Network(t);
  const agent = network.fork(-1);
  for (let number = 1; number <= 3; number++) agent.bus.send(note(number, { to: 'app' }));
  await network.open(agent);
  network.roster.complete = false;
  network.tell();
  agent.bus.send(note(4, { to: 'app' }));
  const [one, two] = [network.fork(0), network.fork(1)];
  network.tell();
  agent.bus.send(note(5, { to: 'app' }));
  network.roster.complete = true;
  network.tell();
  agent.bus.send(note(6, { to: 'app' }));
  await network.open(one);
  network.tell();
  agent.bus.send(note(7, { to: 'app' }));
  await network.open(two);
  network.tell();
  for (const station of [one, two]) assert.deepEqual((await station.hears(7)).map(({ data }) => data), [1, 2, 3, 4, 5, 6, 7]);
});

test('while the agent, or the worker of a slot, is replaced, what is for it waits for the next one', async (t) => {
  const network = new Network(t);
  const [one] = await network.up(0) as [Station];
  network.roster.slots = 2;
  network.tell();
  one.bus.send({ ...note('a', { to: 'agent' }), request: 1 });
  one.bus.send(note('b', { to: 'app', receiverPid: 'slot:1' }));
  one.bus.send({ ...note('c', { to: 'app', receiverPid: 'slot:2' }), request: 2 });
  const [refused] = await one.hears(1);
  assert.deepEqual([refused!.reply, refused!.error?.code], [2, 'ERR_CLUSTER_NO_RECEIVER'], 'there is no slot 2');
  const [agent, two] = await network.up(-1, 1) as [Station, Station];
  await Promise.all([agent.hears(1), two.hears(1)]);
  assert.deepEqual([heard(agent), heard(two)], [[['note', 'a']], [['note', 'b']]]);
});

test('what is for a slot without a process keeps its sender only while another may come; then the master has it', async (t) => {
  const network = new Network(t);
  const [one] = await network.up(0) as [Station];
  network.roster.slots = 2;
  network.tell();
  assert.equal(one.bus.isIdle(true), true);
  one.bus.send(note('a', { to: 'app', receiverPid: 'slot:1' }));
  assert.deepEqual([one.bus.isIdle(true), one.bus.isIdle(false)], [false, true]);
  one.bus.flushNow();
  assert.deepEqual(one.relayed.map(({ data }) => data), ['a']);
});

test('answers come back, from this process as well', async (t) => {
  const network = new Network(t);
  const [agent, one] = await network.up(-1, 0) as [Station, Station];
  agent.take = ({ data }, answer) => answer({ action: '', data: (data as number) * 2 });
  one.take = ({ reply }, answer) => { if (reply === undefined) answer({ action: '', error: { name: 'Error', message: 'no' } }); };
  one.bus.send({ ...note(21, { to: 'agent' }), request: 7 });
  one.bus.send({ ...note(0, { to: 'app', receiverPid: 'random' }), request: 8 });
  const answers = (await one.hears(3)).filter(({ reply }) => reply !== undefined);
  const told = answers.map(({ reply, data, error }) => [reply, data, error?.message]).sort();
  assert.deepEqual(told, [[7, 42, undefined], [8, undefined, 'no']]);
});

test('a process ends: who waits for its answer is told, and what was not sent is given up', async (t) => {
  const network = new Network(t);
  const [agent, one] = await network.up(-1, 0) as [Station, Station];
  one.bus.send({ ...note(1, { to: 'agent' }), request: 1 });
  await agent.hears(1);
  // Another one, which is not there yet.
  const late = network.fork(1);
  network.tell();
  one.bus.send({ ...note(2, { receiverPid: late.member.pid }), request: 2 });
  network.stations.splice(network.stations.indexOf(late), 1);
  network.tell();
  const [first] = await one.hears(1);
  assert.deepEqual([first!.reply, first!.error?.code], [2, 'ERR_CLUSTER_NO_RECEIVER']);
});

test('what has not reached an agent that ends goes to the next one, in order', async (t) => {
  const network = new Network(t);
  const [one] = await network.up(0) as [Station];
  const first = network.fork(-1);
  network.tell();
  for (const number of [1, 2]) one.bus.send({ ...note(number, { to: 'agent' }), request: number });
  one.bus.send(note('by pid', { receiverPid: first.member.pid }));
  network.stations.splice(network.stations.indexOf(first), 1);
  network.tell();
  one.bus.send(note(3, { to: 'agent' }));
  const [second] = await network.up(-1) as [Station];
  assert.deepEqual((await second.hears(3)).map(({ data }) => data), [1, 2, 3]);
  assert.deepEqual(one.got, []);
});

test('actions that a tap wants go through the master, all where it wants all, and the rest does not', async (t) => {
  const network = new Network(t);
  const [agent, one] = await network.up(-1, 0) as [Station, Station];
  network.roster.tapped = ['audit'];
  network.tell();
  one.bus.send({ action: 'audit', to: 'agent' });
  one.bus.send(note(1, { to: 'agent' }));
  await agent.hears(1);
  assert.deepEqual([one.relayed.map(({ action }) => action), heard(agent)], [['audit'], [['note', 1]]]);
  network.roster.tapped = null;
  network.tell();
  one.bus.send(note(2, { to: 'agent' }));
  assert.deepEqual(one.relayed.map(({ action }) => action), ['audit', 'note']);
});

test('where no socket can be made, the master carries what waits and what follows, in order', async (t) => {
  const network = new Network(t);
  const one = network.fork(0);
  one.bus.send(note(1, { to: 'agent' }));
  assert.equal(await one.bus.open({ dir: null, token: Buffer.alloc(0), reason: 'read-only' }), false);
  one.bus.send(note(2, { to: 'agent' }));
  assert.deepEqual(one.relayed.map(({ data }) => data), [1, 2]);
});

test('one that cannot listen is reached by the master, with one line of its own', async (t) => {
  const network = new Network(t);
  const [one] = await network.up(0) as [Station];
  const agent = network.fork(-1);
  network.tell();
  one.bus.send(note(1, { to: 'agent' }));
  assert.equal(await agent.bus.open({ dir: `${network.dir}/not there`, token: Buffer.alloc(32) }), false);
  assert.match(agent.lines.join(), /^messages to this process go through the master: .*(?:ENOENT|EACCES)/);
  agent.member.listens = false;
  network.tell();
  one.bus.send(note(2, { to: 'agent' }));
  assert.deepEqual(one.relayed.map(({ data, receiverPid }) => [data, receiverPid]), [[1, agent.member.pid], [2, agent.member.pid]]);
});

test('a socket that somebody has taken away: the master carries what is for it, and a line says so', async (t) => {
  const network = new Network(t);
  const [agent, one] = await network.up(-1, 0) as [Station, Station];
  rmSync(network.file(agent));
  one.bus.send(note(1, { to: 'agent' }));
  one.bus.send(note(2, { to: 'agent' }));
  while (one.relayed.length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(one.relayed.map(({ data }) => data), [1, 2]);
  assert.match(one.lines.join(), /go through the master: .*(?:ENOENT|EACCES)/);
});

test('what a process sends to itself is bounded as well', async (t) => {
  const network = new Network(t, { outbox: 100_000 });
  const [one] = await network.up(0) as [Station];
  const self = { receiverPid: one.member.pid, id: 'own' };
  const told = Array.from({ length: 100 }, () => one.bus.send(note('x'.repeat(10_000), self)));
  assert.deepEqual([told[0], told.at(-1)], [true, false]);
  await one.bus.room();
  const { length } = one.got;
  assert.ok(length > 10 && length < 21, `${length} of 10 kB are kept, of twice 100 kB`);
  assert.match(one.lines.join(), /which does not read, are dropped/);
  assert.equal(one.bus.send(note('after', self)), true);
  await one.hears(length + 1);
});

test('a process whose socket was taken away is not looked for again whenever somebody comes or goes', async (t) => {
  const network = new Network(t);
  const [one, other] = await network.up(0, 1) as [Station, Station];
  rmSync(network.file(other));
  one.bus.send(note(1, { receiverPid: other.member.pid }));
  while (one.relayed.length < 1) await new Promise((resolve) => { setTimeout(resolve, 20); });
  network.fork(2);
  network.tell();
  one.bus.send(note(2, { receiverPid: other.member.pid }));
  assert.deepEqual(one.relayed.map(({ data }) => data), [1, 2]);
  assert.equal(one.lines.filter((line) => line.includes('go through the master')).length, 1);
});

import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import test from 'node:test';
import { FakeProcesses, until } from '../helpers/shared-processes.js';

class Bell extends EventEmitter {
  static all: Bell[] = [];
  constructor() {
    super();
    Bell.all.push(this);
  }
  ring(...args: unknown[]) { return this.emit('ring', ...args); }
}

async function two() {
  Bell.all = [];
  const world = new FakeProcesses();
  const [leader, follower] = [world.agent(), world.worker(0)];
  const [a, b] = [await leader.clients.share(Bell) as Bell, await follower.clients.share(Bell) as Bell];
  return { world, leader, follower, a, b, real: Bell.all[0]! };
}

test('events of the real client reach those who listen, in all processes, with their arguments', async () => {
  const { a, b } = await two();
  const heard: unknown[][] = [];
  a.on('ring', (...args) => heard.push(['a', ...args]));
  b.once('ring', (...args) => heard.push(['b', ...args]));
  await b.ring(1, { x: new Date(3) });
  await until(() => heard.length === 2, 'both have heard it');
  assert.deepEqual(heard.sort(), [['a', 1, { x: new Date(3) }], ['b', 1, { x: new Date(3) }]]);
});

test('who does not listen is told nothing, and who listens no more is not either', async () => {
  const { world, follower, b, real } = await two();
  const told: unknown[] = [];
  const { told: real_ } = follower.clients;
  follower.clients.told = (sender, message) => {
    told.push(message[0]);
    real_.call(follower.clients, sender, message);
  };
  real.ring();
  const listener = () => {};
  b.on('ring', listener);
  await b.ring();
  await until(() => told.length === 1, 'one was told');
  b.off('ring', listener);
  await b.ring();
  await world.ask(follower.pid, follower.pid, ['detach', 'none']);
  assert.deepEqual(told, ['event']);
});

test('an error event ends no process: it is heard where somebody listens, else it is in the log', async () => {
  const { leader, b, real } = await two();
  real.emit('error', new Error('lost the line'));
  assert.match(leader.warnings.join(), /lost the line/);
  const heard: Error[] = [];
  b.on('error', (error: Error) => heard.push(error));
  await b.ring();
  real.emit('error', new Error('again'));
  await until(() => heard.length === 1, 'it is heard');
  assert.equal(heard[0]?.message, 'again');
});

test('the real client hears its own events as before', async () => {
  const { real } = await two();
  let heard = 0;
  real.on('ring', () => { heard++; });
  assert.equal(real.ring(), true);
  assert.equal(heard, 1);
});

test('who listened goes on listening when another process leads', async () => {
  const { leader, follower, b } = await two();
  let heard = 0;
  b.on('ring', () => { heard++; });
  await b.ring();
  leader.kill();
  await until(() => follower.clients.member('Bell')?.leads, 'the follower leads');
  await b.ring();
  await until(() => heard === 2, 'it is heard');
});

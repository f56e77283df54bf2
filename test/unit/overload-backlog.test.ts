import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import net, { type AddressInfo, type Server } from 'node:net';
import test, { type TestContext } from 'node:test';
import { Backlog, queueOf } from '../../plugins/overload/backlog.js';
import { unsuited } from '../helpers/skips.js';

const skip = process.platform === 'linux' ? false : unsuited.linux;

async function listening(t: TestContext, host: string): Promise<Server> {
  const server = net.createServer((socket) => socket.destroy()).listen(0, host);
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  return server;
}

const CLIENTS = `
const [port, host, count] = process.argv.slice(1);
let left = Number(count);
for (let i = 0; i < count; i++) require('node:net').connect(port, host, () => { if (--left === 0) process.exit(); });`;

for (const host of ['127.0.0.1', '::1']) {
  test(`connections that nobody has accepted yet are counted, those of one socket alone: ${host}`, { skip }, async (t) => {
    const [server, other] = [await listening(t, host), await listening(t, host)];
    const { port } = server.address() as AddressInfo;
    // Nothing is accepted meanwhile, as this process waits for it.
    const { status } = spawnSync(process.execPath, ['-e', CLIENTS, String(port), host, '5']);
    assert.equal(status, 0);
    assert.equal(queueOf(server), 5);
    assert.equal(queueOf(other), 0);
  });
}

/** A queue into which `comes` connections come in each ms, from which one is taken every `cost` ms. */
async function crowded(t: TestContext, { comes, cost, sharers }: { comes: number; cost: number; sharers: number }) {
  const server = await listening(t, '127.0.0.1');
  const queue: number[] = [];
  const backlog = new Backlog(server, sharers, () => queue.length);
  const errors: number[] = [];
  let due = 0;
  for (let now = 0; now < 2_000; now++) {
    for (due += comes; due >= 1; due--) queue.push(now);
    if (now % cost !== 0) continue;
    const [came] = queue.splice(0, sharers);
    if (came !== undefined) errors.push(now - came - backlog.accepted(now, true));
  }
  return errors;
}

for (const sharers of [1, 4]) {
  test(`it is known how long each has waited there, a look's distance off: ${sharers} accept from it`, { skip }, async (t) => {
    const errors = await crowded(t, { comes: 0.5 * sharers, cost: 5, sharers });
    assert.ok(errors.every((error) => error >= 0 && error <= 25), `${Math.min(...errors)}..${Math.max(...errors)}`);
  });
}

test('where nobody waits, and where that cannot be known, nobody has waited', async (t) => {
  const server = await listening(t, '127.0.0.1');
  let looks = 0;
  for (const length of [() => 0, () => undefined, () => { throw new Error('no such file'); }]) {
    const backlog = new Backlog(server, 1, () => { looks++; return length(); });
    for (let now = 0; now < 100; now++) assert.equal(backlog.accepted(now, true), 0);
  }
  assert.equal(looks, 10 + 1 + 1);
});

test('an event loop that has nothing to do does not look', async (t) => {
  const server = await listening(t, '127.0.0.1');
  const backlog = new Backlog(server, 1, () => assert.fail());
  for (let now = 0; now < 100; now++) assert.equal(backlog.accepted(now, false), 0);
});

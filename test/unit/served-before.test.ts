import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeCore, running } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';
import { until } from '../helpers/shared-processes.js';
import { reload } from '../../lib/master/operations/reload.js';
import { start } from '../../lib/master/operations/start.js';

const metrics = { port: 9100, name: '*:9100', configured: false } as const;

test('a successor is told what its predecessor serves, also what came later; the first ones are told nothing', async (t) => {
  const { core, forks } = await running(t, { workers: 1 });
  const first = forks.in(0);
  assert.deepEqual(first.boot?.listen.expected, null);
  first.channel.send('child.listening', [
    { protocol: 'http', port: 7001, name: '*:7001', configured: true, own: false },
    { protocol: 'http', own: false, ...metrics },
    { protocol: 'http', port: 40_000, name: '*:0', configured: false, own: true },
  ]);
  const reloading = reload(core, 'test');
  await turns();
  assert.deepEqual(forks.in(0).boot?.listen.expected, { configured: true, others: ['*:9100'], grace: 5_000, quick: false, still: 60 });
  forks.in(0).ready({});
  await reloading;
});

test('what the first of a generation does not serve any more is said once, and not waited for by the others', async (t) => {
  const { core, forks } = fakeCore(t, { workers: 2 });
  const warned: unknown[] = [];
  core.logger.warn = (line) => { warned.push(line); };
  const starting = start(core);
  await turns();
  for (const slot of [0, 1]) forks.in(slot).ready(metrics);
  await starting;
  const reloading = reload(core, 'test');
  for (const slot of [0, 1]) {
    await turns();
    forks.in(slot).ready({}, { missing: slot === 0 ? ['*:9100'] : [] });
  }
  await reloading;
  assert.deepEqual(forks.in(1).boot?.listen.expected, null, 'nothing else is known of it');
  assert.equal(warned.length, 1);
  assert.match(String(warned[0]), /does not listen on \*:9100, as those before it did: let go/);
});

test('a new slot has to serve what all the others do', async (t) => {
  const { core, forks } = fakeCore(t, { workers: 2 });
  const starting = start(core);
  await turns();
  for (const slot of [0, 1]) {
    const own = { port: 9200 + slot, name: `*:${9200 + slot}`, configured: false };
    forks.in(slot).channel.send('child.ready', {
      addresses: [own, metrics].map((one) => ({ protocol: 'http', own: false, ...one })), missing: [], instead: false,
    });
  }
  await starting;
  core.workers.addSlots(3);
  const growing = core.workers.slots[2]?.start(core.releases.current);
  await turns();
  assert.deepEqual(forks.in(2).boot?.listen.expected?.others, ['*:9100']);
  forks.in(2).ready();
  await growing;
});

for (const how of ['has served for a second', 'has closed it meanwhile', 'has just come'] as const) {
  test(`a worker that ${how}, of the same release: how long the next one has to keep its address`, async (t) => {
    const { core, forks } = await running(t, { workers: 1 });
    const first = forks.in(0);
    const main = { protocol: 'http', port: 7001, name: '*:7001', configured: true, own: false } as const;
    first.channel.send('child.listening', [main]);
    await turns();
    if (how === 'has closed it meanwhile') first.channel.send('child.listening', []);
    first.channel.send('child.listening', [main]);
    await turns();
    if (how !== 'has just come') core.workers.slots[0]!.current!.readyAt! -= 1_000;
    first.exits(1);
    await until(() => forks.in(0) !== first && forks.in(0).boot !== null, 'it is forked again');
    const next = forks.in(0);
    assert.equal(next.boot?.listen.expected?.still, how === 'has served for a second' ? 1 : 60);
    next.ready(main);
    await turns();
  });
}

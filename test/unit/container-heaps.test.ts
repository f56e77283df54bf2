import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { MemoryLimit } from '../../lib/kit/cgroup.js';
import { scale } from '../../lib/master/operations/scale.js';
import { heapFor, Heaps } from '../../plugins/container/heaps.js';
import { running } from '../helpers/fake-core.js';

const MB = 2 ** 20;
const FLAG = /^--max-heap-size=(\d+)$/;

type Given = Parameters<typeof running>[1];

/** The heap flags of the processes that were forked, by slot; null: none. */
async function heaps(t: TestContext, given: Given, limit: number | null) {
  const memory = { now: limit === null ? null : { limit, workingSet: 0 } as MemoryLimit };
  let made!: Heaps;
  const fake = await running(t, { memory: 'limit', ...given }, { name: 'heaps', apply(master) {
    made = new Heaps('heaps', master, () => memory.now);
  } });
  fake.forks.manners.boots = true;
  const flags = (): (number | null)[] => fake.forks.all.map(({ spec }) => {
    const [flag, ...more] = spec.execArgv.flatMap((arg) => FLAG.exec(arg)?.[1] ?? []);
    assert.deepEqual(more, []);
    return flag === undefined ? null : Number(flag);
  });
  // Several clusters of one test would all listen to the parent process.
  for (const undo of fake.core.cleanup.splice(0)) undo();
  return { ...fake, made, memory, flags };
}

test('all that can live at the same time have room in the limit together', () => {
  for (const [limit, processes, heap] of [[512, 3, 110], [256, 2, 70], [4096, 5, 638], [64, 2, 32], [0, 1, 32]] as const) {
    assert.equal(heapFor(limit * MB, processes), heap);
  }
});

test('workers, the successors of a reload and the agent are counted; those of one release have the same', async (t) => {
  assert.deepEqual((await heaps(t, { workers: 2 }, 512 * MB)).flags(), [110, 110]);
  const agent = heapFor(512 * MB, 4);
  assert.deepEqual((await heaps(t, { workers: 2, agent: true }, 512 * MB)).flags(), [agent, agent, agent]);
  const batch = heapFor(512 * MB, 4);
  assert.deepEqual((await heaps(t, { workers: 2, reload: { soak: 0, batch: 8 } }, 512 * MB)).flags(), [batch, batch]);
});

test('what the user has said of the heap stays, in whatever way', async (t) => {
  for (const given of [
    { execArgv: ['--max-old-space-size=400'] },
    { execArgv: ['--max_old_space_size', '400'] },
    { execArgv: ['--max-old-space-size-percentage=50'] },
    { env: { NODE_OPTIONS: '--enable-source-maps --max-old-space-size=400' } },
  ]) {
    const { flags, made, memory } = await heaps(t, { workers: 1, ...given }, 512 * MB);
    assert.deepEqual(flags(), [null], JSON.stringify(given));
    memory.now = { limit: 256 * MB, workingSet: 0 };
    assert.equal(made.stale, false, JSON.stringify(given));
  }
  assert.deepEqual((await heaps(t, { workers: 1, execArgv: ['--max-heap-size=400'] }, 512 * MB)).flags(), [400]);
  const semi = await heaps(t, { workers: 1, execArgv: ['--max-semi-space-size=4'] }, 512 * MB);
  assert.deepEqual(semi.flags(), [heapFor(512 * MB, 2)]);
});

test('nothing is set without a limit, nor unless it is asked for', async (t) => {
  assert.deepEqual((await heaps(t, { workers: 1 }, null)).flags(), [null]);
  for (const memory of ['watch', 'off'] as const) {
    assert.deepEqual((await heaps(t, { workers: 1, memory }, 512 * MB)).flags(), [null]);
  }
});

test('a heap is stale when the limit, the number of workers or the key has changed since its process was forked', async (t) => {
  const { core, made, memory, flags } = await heaps(t, { workers: 2 }, 512 * MB);
  assert.deepEqual([made.stale, made.wanted], [false, 110]);
  memory.now = { limit: 256 * MB, workingSet: 0 };
  assert.deepEqual([made.stale, made.wanted], [true, heapFor(256 * MB, 3)]);
  memory.now = { limit: 512 * MB, workingSet: 0 };
  assert.equal(made.stale, false);
  await scale(core, 3);
  assert.deepEqual([made.stale, flags().at(-1)], [true, heapFor(512 * MB, 4)]);
  await scale(core, 2);
  assert.equal(made.stale, false);
  memory.now = null;
  assert.deepEqual([made.stale, made.wanted], [true, null]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noControlGroups, startInGroups } from '../helpers/control-groups.js';
import { eventually } from '../helpers/eventually.js';
import { Load } from '../helpers/load.js';
import { withConfig } from '../helpers/with-config.js';

const MB = 2 ** 20;

test('a container that is made smaller and larger under load: workers and heaps follow, nothing lost, nobody killed', {
  skip: noControlGroups(),
}, async (t) => {
  const config = withConfig(t, { memory: 'limit' });
  const { cluster, groups } = await startInGroups(t, { megabytes: 512, cpus: 2 }, 'drain-app', { flags: ['--config', config] });
  /** The workers that are ready have these heaps, MB, and no others are left. */
  const has = async (heaps: number[]): Promise<boolean> => {
    const { workers, container } = await cluster.status() as unknown as {
      workers: { state: string; heapLimit?: number }[]; container: { heap: number };
    };
    return container.heap === heaps[0]! * MB && workers.length === heaps.length
      && workers.every(({ state, heapLimit }, at) => state === 'ready' && heapLimit === heaps[at]! * MB);
  };
  await eventually(() => has([110, 110]));
  const load = new Load({ perConnection: 1, keepAlive: 2, slow: 1 }, { http: { port: cluster.port }, pause: 20, slow: 300 });
  t.after(() => load.stop());

  const resized = async (limits: { megabytes: number; cpus: number }, heaps: number[]): Promise<number> => {
    const before = performance.now();
    groups.limit(limits);
    await eventually(() => has(heaps), 15_000);
    return performance.now() - before;
  };
  const smaller = await resized({ megabytes: 256, cpus: 1 }, [70]);
  const larger = await resized({ megabytes: 512, cpus: 2 }, [110, 110]);
  await load.stop();
  t.diagnostic(`${Math.round(smaller)} and ${Math.round(larger)} ms, ${load.answered} answers, peak ${Math.round(groups.peak)} MB`);
  assert.equal(load.lost, 0, `${load.report()}\n${cluster.output}`);
  assert.equal(groups.oomKills, 0);
  // Less than 3 s each on a machine that has nothing else to do.
  assert.ok(smaller < 10_000 && larger < 10_000, `${smaller} and ${larger} ms\n${cluster.output}`);
  assert.match(cluster.output, /INFO \d+ \[master\] the container's limits have changed: .*memory 512 MB -> 256 MB/);
  assert.equal((await cluster.stop()).code, 0);
});

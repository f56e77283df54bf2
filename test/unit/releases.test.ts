import assert from 'node:assert/strict';
import test from 'node:test';
import { createHooks } from '../../lib/api/hooks.js';
import type { Config } from '../../lib/config/schema.js';
import { guard } from '../../lib/master/plugins/guard.js';
import { Releases } from '../../lib/master/releases.js';
import { loadedWith } from '../helpers/fake-core.js';

function releases(config: Partial<Config> = {}, read?: () => Partial<Config>) {
  const hooks = createHooks();
  guard(hooks, { timeout: 1_000, onError: (error) => { throw error; } });
  return { hooks, releases: new Releases(loadedWith(config), hooks, read && (async () => loadedWith(read()))) };
}

test('the next one is read afresh; the present one stays until it is changed', async () => {
  const { releases: all } = releases({ port: 1 }, () => ({ port: 2, workers: 9 }));
  const next = await all.next(3);
  assert.deepEqual([next.generation, next.loaded.config.port, next.loaded.config.workers], [2, 2, 3]);
  assert.deepEqual([all.current.generation, all.current.loaded.config.port], [1, 1]);
  all.change(next);
  assert.equal(all.current.generation, 2);
});

test('without anything to read it is the same configuration, one generation on', async () => {
  const { releases: all } = releases({ port: 1 });
  const next = await all.next(2);
  assert.equal(next.loaded.config.port, 1);
  assert.equal(next.generation, 2);
});

test('each has a number of its own, also after one that was never taken', async () => {
  const { releases: all } = releases();
  assert.equal((await all.next(2)).generation, 2);
  const next = await all.next(2);
  assert.equal(next.generation, 3);
  all.change(next);
  assert.equal((await all.edited(2)).generation, 4);
});

test('a configuration that cannot be read leaves everything as it is', async () => {
  const { releases: all } = releases({}, () => { throw new Error('broken file'); });
  await assert.rejects(all.next(2), /broken file/);
  assert.equal(all.current.generation, 1);
});

test('a number of workers that was edited counts once; what scale has made of it counts until then', async () => {
  let workers = 2;
  const { releases: all } = releases({ workers: 2 }, () => ({ workers }));
  all.workers(5);
  assert.equal((await all.edited(5)).loaded.config.workers, 5);
  workers = 3;
  assert.equal((await all.edited(5)).loaded.config.workers, 3);
  assert.equal((await all.edited(4)).loaded.config.workers, 4, 'scaled since');
});

test('the cluster port is the same through all of them', async () => {
  const { releases: all } = releases();
  all.change({ clusterPort: 4_321 });
  assert.equal((await all.next(2)).clusterPort, 4_321);
});

test('who dies is followed by its own release while that is on its way, else by the present one', async () => {
  const { releases: all } = releases();
  const next = await all.next(2);
  assert.equal(all.after(2), all.current);
  all.coming = next;
  assert.equal(all.after(2), next);
  assert.equal(all.after(1), all.current);
  assert.equal(all.after(0), all.current);
});

test('configResolved: what a tap returns, or changes in place, is validated and says where it comes from', async () => {
  const { hooks, releases: all } = releases({ port: 1 });
  hooks.configResolved.tap('in place', (config) => {
    config.port = 2;
    return config;
  });
  hooks.configResolved.tap('anew', (config) => ({ ...config, title: 'named' }));
  await all.first();
  const { config, provenance } = all.current.loaded;
  assert.deepEqual([config.port, config.title], [2, 'named']);
  assert.deepEqual([provenance.port, provenance.title],
    [{ from: 'hook', where: 'configResolved' }, { from: 'hook', where: 'configResolved' }]);
});

test('configResolved: what is no configuration is refused by name', async () => {
  const { hooks, releases: all } = releases();
  hooks.configResolved.tap('wrong', (config) => ({ ...config, workers: 0 }));
  await assert.rejects(all.first(), { code: 'ERR_CLUSTER_CONFIG', message: /hook configResolved: workers/ });
});

test('without a tap nothing is validated again: the objects are the same', async () => {
  const { releases: all } = releases();
  const { loaded } = all.current;
  await all.first();
  assert.equal(all.current.loaded, loaded);
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { standbys } from '../../lib/config/check.js';
import { load, refusal, withConfig } from '../helpers/config-dir.js';

test('the plugin is on where some are wanted, unless somebody says otherwise of it', async (t) => {
  const plugin = async (config: object) => (await load(withConfig(t, config))).config.plugins.standby;
  assert.equal(await plugin({}), false);
  assert.equal(await plugin({ standby: 0 }), false);
  assert.equal(await plugin({ standby: 1 }), true);
  assert.equal(await plugin({ standby: { perSlot: true } }), true);
  assert.equal(await plugin({ standby: 1, plugins: { standby: false } }), false);
  assert.equal(await plugin({ profiles: { staging: { standby: 1 } } }), false);
});

test('a number, or how many of each slot', async (t) => {
  const wanted = async (standby: unknown) => standbys((await load(withConfig(t, { standby }))).config);
  assert.deepEqual(await wanted(2), { count: 2, perSlot: false });
  assert.deepEqual(await wanted({}), { count: 1, perSlot: false });
  assert.deepEqual(await wanted({ perSlot: true }), { count: 1, perSlot: true });
  assert.deepEqual(await wanted({ count: 3, perSlot: true }), { count: 3, perSlot: true });
});

test('an app without a server would do its work twice: refused, with the reason', async (t) => {
  const message = await refusal(load(withConfig(t, { server: false, standby: 1 })));
  assert.match(message, /^\.clusterrc: standby: expected 0 with `server: false`, found 1: an app without a server does its work as soon/);
  await refusal(load(withConfig(t, { server: false, standby: { perSlot: true } })));
  await load(withConfig(t, { server: false, standby: 0 }));
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { load, refusal, withConfig } from '../helpers/config-dir.js';

const says = (t: test.TestContext, config: object) => refusal(load(withConfig(t, config)));

test('an unknown key names the nearest one', async (t) => {
  assert.equal(await says(t, { worker: 4 }), '.clusterrc: worker: unknown key, did you mean "workers"?');
  assert.equal(await says(t, { refork: { limt: 4 } }), '.clusterrc: refork.limt: unknown key, did you mean "limit"?');
  assert.equal(await says(t, { profiles: { 'pre-prod': { prot: 1 } } }),
    '.clusterrc: profiles.pre-prod.prot: unknown key, did you mean "port"?');
});

test('an unknown key far from all others lists the known ones', async (t) => {
  assert.equal(await says(t, { reload: { banana: 1 } }), '.clusterrc: reload.banana: unknown key; known are soak, batch');
});

test('names of Object.prototype are unknown like any other', async (t) => {
  assert.match(await says(t, { constructor: 1 }), /^\.clusterrc: constructor: unknown key/);
  assert.match(await refusal(load(withConfig(t, {}, { '.clusterrc': '{"__proto__": {"workers": 2}}' }))),
    /^\.clusterrc: __proto__: unknown key/);
});

test('a profile holds neither profiles nor a base of its own', async (t) => {
  assert.match(await says(t, { profiles: { test: { profiles: {} } } }), /profiles\.test\.profiles: unknown key/);
  assert.match(await says(t, { profiles: { test: { extends: './x' } } }), /profiles\.test\.extends: unknown key/);
});

test('several mistakes: one line each, from all sources', async (t) => {
  const dir = withConfig(t, { workers: 'four', prot: 1, titel: 'x', log: { level: 1 } });
  const lines = (await refusal(load(dir, { env: { PORT: 'http' }, flags: { balance: 'none' as 'os' } }))).split('\n');
  assert.deepEqual(lines.map((line) => line.replace(/: (?:expected|unknown).*/, '')).sort(), [
    '--balance', '.clusterrc: log.level', '.clusterrc: prot', '.clusterrc: titel', '.clusterrc: workers', 'PORT',
  ]);
});

test('a long value does not flood the line', async (t) => {
  assert.ok((await says(t, { port: 'x'.repeat(10_000) })).length < 200);
});

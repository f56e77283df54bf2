import assert from 'node:assert/strict';
import test from 'node:test';
import { load, refusal, withConfig } from '../helpers/config-dir.js';

const profiles = { production: { title: 'P' }, development: { title: 'D' }, staging: { title: 'S' }, node: { title: 'N' } };

for (const [title, request] of [
  ['P', {}],
  ['D', { command: 'dev' }],
  ['N', { env: { NODE_ENV: 'node' } }],
  ['S', { env: { CLUSTER_ENV: 'staging', NODE_ENV: 'node' } }],
  ['D', { flags: { profile: 'development' }, env: { CLUSTER_ENV: 'staging', NODE_ENV: 'node' } }],
  ['file', { env: { NODE_ENV: 'other' } }],
] as const) {
  test(`${JSON.stringify(request)} takes ${title}`, async (t) => {
    assert.equal((await load(withConfig(t, { title: 'file', profiles }), request)).config.title, title);
  });
}

test('a mistyped --env names the profile that was meant', async (t) => {
  const dir = withConfig(t, { profiles });
  assert.equal(await refusal(load(dir, { flags: { profile: 'stagin' } })),
    '--env: no profile "stagin" in .clusterrc, did you mean "staging"?');
  assert.match(await refusal(load(dir, { flags: { profile: 'x' } })), /known are production, development, staging, node$/);
});

test('the usual names need no profile', async (t) => {
  assert.equal((await load(withConfig(t, {}), { flags: { profile: 'production' } })).profile, 'production');
});

test('every profile is checked, also those that are not used', async (t) => {
  assert.match(await refusal(load(withConfig(t, { profiles: { other: { port: 'x' } } }))), /^\.clusterrc: profiles\.other\.port: /);
});

test('what contradicts itself names the profile', async (t) => {
  const dir = withConfig(t, { refork: { maxDelay: 5 }, profiles: { production: { refork: { minDelay: 9 } } } });
  assert.equal(await refusal(load(dir)), '.clusterrc: profiles.production.refork.minDelay: expected at most maxDelay (5), found 9');
});

import assert from 'node:assert/strict';
import test from 'node:test';
import type { LoadRequest } from '../../lib/config/load.js';
import { autoWorkers } from '../../lib/config/resolve-config.js';
import { directory, load, refusal, withConfig } from '../helpers/config-dir.js';

const AUTO = autoWorkers({}).workers;
const file = { framework: './fw', workers: 5, profiles: { production: { workers: 6 } } };
const framework = { 'fw/package.json': { cluster: { workers: 4 } }, 'fw/index.js': '' };

/** Each step adds a source that beats all before it. */
const steps: [from: string, where: string | undefined, workers: number, config: object, request: LoadRequest][] = [
  ['default', undefined, AUTO, {}, {}],
  ['framework', 'fw/package.json#cluster', 4, { framework: './fw' }, {}],
  ['file', '.clusterrc', 5, { ...file, profiles: {} }, {}],
  ['profile', '.clusterrc: profiles.production', 6, file, {}],
  ['env', 'CLUSTER_WORKERS', 7, file, { env: { CLUSTER_WORKERS: '7' } }],
  ['inline', undefined, 8, file, { env: { CLUSTER_WORKERS: '7' }, inline: { workers: 8 } }],
  ['flag', '--workers', 9, file, { env: { CLUSTER_WORKERS: '7' }, inline: { workers: 8 }, flags: { workers: 9 } }],
];

for (const [from, where, workers, config, request] of steps) {
  test(`${from} wins over what is below it`, async (t) => {
    const { config: { workers: found }, provenance } = await load(withConfig(t, config, framework), request);
    assert.equal(found, workers);
    const { counted, ...origin } = provenance.workers!;
    assert.deepEqual(origin, where ? { from, where } : { from });
    assert.equal(counted !== undefined, from === 'default');
  });
}

test('every variable sets its key', async (t) => {
  const { config, provenance } = await load(withConfig(t, {}), {
    env: {
      PORT: '80', HOST: '::1', CLUSTER_WORKERS: 'auto', CLUSTER_TITLE: '42', CLUSTER_LOG_LEVEL: 'warn',
      CLUSTER_LOG_FORMAT: 'json', CLUSTER_BALANCE: 'os', CLUSTER_START_TIMEOUT: '99',
    },
  });
  assert.deepEqual([config.port, config.host, config.workers, config.title, config.log, config.balance, config.startTimeout],
    [80, '::1', AUTO, '42', { level: 'warn', format: 'json' }, 'os', 99]);
  assert.deepEqual(provenance['log.level'], { from: 'env', where: 'CLUSTER_LOG_LEVEL' });
});

test('a wrong variable or flag is named as such', async (t) => {
  const dir = withConfig(t, {});
  assert.equal(await refusal(load(dir, { env: { CLUSTER_WORKERS: 'four' } })),
    'CLUSTER_WORKERS: expected a whole number from 1 to 1024, "auto" or a range such as 2-8, found "four"');
  assert.match(await refusal(load(dir, { env: { CLUSTER_LOG_LEVEL: 'x' } })), /^CLUSTER_LOG_LEVEL: /);
  const flag = (flags: object) => refusal(load(dir, { flags }));
  assert.equal(await flag({ workers: '0' }), '--workers: expected a whole number from 1 to 1024, "auto" or a range such as 2-8, found 0');
  assert.match(await flag({ startTimeout: 'soon' }), /^--start-timeout: /);
  assert.match(await flag({ log: { level: 'x' } }), /^--log-level: /);
  assert.match(await flag({ https: { key: '' } }), /^--https\.key: /);
  assert.match(await flag({ plugins: { 'sticky-session': 'x' } }), /^--sticky: /);
  assert.match(await flag({ require: [''] }), /^--require: /);
});

test('empty variables and flags that are not there are ignored', async (t) => {
  const { config } = await load(withConfig(t, { port: 1 }), {
    env: { PORT: '', HOST: '', CLUSTER_ENV: '' }, flags: { port: undefined, log: { level: undefined } },
  });
  assert.equal(config.port, 1);
  assert.equal(config.log.level, 'info');
});

test('objects merge key by key, lists as a whole', async (t) => {
  const dir = withConfig(t, {
    env: { A: 'file', B: 1 }, import: ['a', 'b'], refork: { limit: 5 },
    profiles: { production: { env: { A: 'profile' }, import: ['c'], refork: { minDelay: 7 } } },
  }, { 'node_modules/c/package.json': {} });
  const { config } = await load(dir);
  assert.deepEqual(config.env, { A: 'profile', B: '1' });
  assert.deepEqual(config.import, ['c']);
  assert.deepEqual(config.refork, { limit: 5, duration: 60_000, minDelay: 7, maxDelay: 15_000, onLimit: 'degrade' });
});

test('dev has one worker and dev-reload; the title is the package or the directory', async (t) => {
  const dir = directory(t, { 'app.js': '', 'package.json': { name: '@scope/shop' } });
  const start = await load(dir);
  const dev = await load(dir, { command: 'dev' });
  assert.equal(start.config.title, '@scope/shop');
  assert.deepEqual([start.config.plugins['dev-reload'], dev.config.plugins['dev-reload']], [false, true]);
  assert.deepEqual([start.config.workers, dev.config.workers], [AUTO, 1]);
  assert.deepEqual([start.profile, dev.profile], ['production', 'development']);
  const nameless = directory(t, { 'app.js': '' });
  assert.equal((await load(nameless)).config.title, nameless.split('/').pop());
});

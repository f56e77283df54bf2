import assert from 'node:assert/strict';
import test from 'node:test';
import { masked, namedSecretIn } from '../../bin/secrets.js';
import { directory, load, refusal, withConfig } from '../helpers/config-dir.js';

test('texts of JSON and YAML hold variables, with a default or without', async (t) => {
  const config = {
    title: '${NAME:-shop}-${REGION}', port: '${PORT_OF_IT:-3000}', workers: '${WORKERS:-auto}', startTimeout: ' ${T} ',
    standby: { count: '${SPARE:-2}' }, args: ['--a=${REGION}', '--b=${X:-${Y:-deep}}'], leaveChildren: '${LEAVE:-true}',
    env: { LEADING: '${LEADING}', LITERAL: '$${HOME} $5' },
  };
  const env = { REGION: 'eu', T: '9', LEADING: '007', NAME: '' };
  const dirs = [withConfig(t, config), directory(t, { 'app.js': '', 'package.json': { name: 'x', cluster: config } }), directory(t, {
    'app.js': '',
    '.clusterrc.yaml': Object.entries(config).map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`).join(''),
  })];
  for (const dir of dirs) {
    const { config: got } = await load(dir, { env: { ...env, WORKERS: '3' } });
    assert.deepEqual([got.title, got.port, got.workers, got.startTimeout, got.standby, got.args, got.leaveChildren, got.env], [
      'shop-eu', 3000, 3, 9, { count: 2, perSlot: false }, ['--a=eu', '--b=deep'], true, { LEADING: '007', LITERAL: '${HOME} $5' },
    ]);
  }
});

test('what is wrong is said with its place; code is left alone', async (t) => {
  const wrong = (title: string, env = {}) => refusal(load(withConfig(t, { title }), { env }));
  assert.equal(await wrong('${NAME}'), '.clusterrc: title: the variable NAME is not set; ${NAME:-default} would give a default');
  for (const text of ['${NAME', '${NAME-x}', '${}', '${ NAME }', '${A:-${B}']) {
    assert.match(await wrong(text), /^\.clusterrc: title: expected \$\{NAME\} or \$\{NAME:-default\}, found \$\{.*is written \$\$\{$/);
  }
  assert.equal(await refusal(load(withConfig(t, { port: '${P:-x}' }))),
    '.clusterrc: port: expected a whole number from 0 to 65535, found "x"');
  assert.equal(await refusal(load(withConfig(t, { profiles: { production: { port: '${P}' } } }))),
    '.clusterrc: profiles.production.port: the variable P is not set; ${P:-default} would give a default');
  const code = directory(t, { 'app.js': '', 'cluster.config.mjs': 'export default { title: "${NAME}" }' });
  assert.equal((await load(code)).config.title, '${NAME}');
});

test('a value says how it was written, and one from a secret\'s variable is masked', async (t) => {
  const { config, provenance } = await load(withConfig(t, {
    host: '${DB_PASSWORD}', port: '${P:-1}', args: ['${API_TOKEN}'], profiles: { production: { title: '${P:-x}' } },
  }), { env: { DB_PASSWORD: 'hush', API_TOKEN: 'hush' } });
  assert.deepEqual(provenance.port, { from: 'file', where: '.clusterrc', written: '${P:-1}' });
  assert.equal(provenance.title?.written, '${P:-x}');
  const shown = masked(config, [], namedSecretIn(provenance)) as typeof config;
  assert.deepEqual([shown.host, shown.port, shown.args], ['***', 1, ['***']]);
});

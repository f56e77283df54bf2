import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { load, refusal, withConfig } from '../helpers/config-dir.js';

const files = { 'tls/key.pem': 'K', 'tls/cert.pem': 'C' };
const https = { key: 'tls/key.pem', cert: './tls/cert.pem' };

test('https has its own default port, and absolute paths', async (t) => {
  const dir = withConfig(t, { https }, files);
  const { config } = await load(dir);
  assert.equal(config.port, 8443);
  assert.deepEqual(config.https, { key: path.join(dir, 'tls/key.pem'), cert: path.join(dir, 'tls/cert.pem') });
  assert.equal((await load(dir, { env: { PORT: '443' } })).config.port, 443);
  assert.equal((await load(dir, { flags: { port: 7001 } })).config.port, 7001);
});

test('key and certificate may come from two places', async (t) => {
  const dir = withConfig(t, { https: { key: https.key } }, files);
  assert.equal((await load(dir, { flags: { https: { cert: 'tls/cert.pem' } } })).config.https?.cert, path.join(dir, 'tls/cert.pem'));
});

test('one without the other, or a file that cannot be read', async (t) => {
  assert.equal(await refusal(load(withConfig(t, { https: { key: https.key } }, files))),
    '.clusterrc: https: expected both key and cert, found no cert');
  const dir = withConfig(t, { https }, { 'tls/key.pem': 'K' });
  assert.equal(await refusal(load(dir)), `.clusterrc: https.cert: cannot read ./tls/cert.pem (${dir}/tls/cert.pem): there is no such file`);
  assert.equal(await refusal(load(dir, { flags: { https: { cert: 'tls' } } })),
    `--https.cert: cannot read tls (${dir}/tls): it is not a file`);
});

import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { fixture, freePort } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { noRedis, startHost, TestRedis } from '../helpers/hosts.js';

const cert = path.join(fixture('https'), 'cert.pem');
const key = path.join(fixture('https'), 'key.pem');

/** Clients without a certificate are refused as well. */
async function securely(scope: { after(fn: () => unknown): void }): Promise<string> {
  const port = await freePort();
  await TestRedis.start(scope, {
    flags: ['--tls-port', String(port), '--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert],
  });
  return `rediss://127.0.0.1:${port}`;
}

test('over TLS, with certificates of one\'s own on both sides', { skip: noRedis }, async (t) => {
  const url = await securely(t);
  const tls = { ca: cert, cert, key };
  const [a, b] = await Promise.all(['a', 'b'].map((name) => startHost(t, { name, url, options: { tls } })));
  await a!.on(0, 'tell', 'news');
  await eventually(async () => (await b!.heard(1)).length > 0, 10_000);
  assert.doesNotMatch(a!.cluster.output, /cannot be reached/);
});

test('a certificate that nobody knows is told, and the app goes on', { skip: noRedis }, async (t) => {
  const url = await securely(t);
  const a = await startHost(t, { name: 'a', url });
  await a.cluster.waitFor(/Redis cannot be reached: (?:self-signed|unable to verify)[^\n]*certificate/i, 10_000);
  assert.deepEqual(await a.heard(0), []);
});

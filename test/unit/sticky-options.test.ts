import assert from 'node:assert/strict';
import test from 'node:test';
import * as v from 'valibot';
import { addressList, schema } from '../../plugins/sticky-session/options.js';

const wrong: [string, object, string, RegExp][] = [
  ['a mode', { mode: 'cookie' }, 'mode', /"connection" or "request"/],
  ['an unknown key', { modes: 'request' }, 'modes', /./],
  ['mode request without a key', { mode: 'request' }, 'key', /expected a key/],
  ['a key in mode connection', { key: { cookie: 'a' } }, 'key', /mode "request"/],
  ['a cookie in mode connection', { issue: true }, 'issue', /mode "request"/],
  ['two keys', { mode: 'request', key: { cookie: 'a', header: 'b' } }, 'key', /\{ cookie \}, \{ header \}/],
  ['an unknown preset', { mode: 'request', key: 'sockjs' }, 'key', /"socket\.io"/],
  ['a header with a space', { mode: 'request', key: { header: 'x y' } }, 'key', /./],
  ['PROXY from nobody', { proxyProtocol: true }, 'trustedProxies', /addresses of the proxies/],
  [
    'PROXY in mode request', { mode: 'request', key: { query: 'a' }, proxyProtocol: true, trustedProxies: ['::1'] }, 'proxyProtocol',
    /mode "connection"/,
  ],
  ['a range', { proxyProtocol: true, trustedProxies: ['10.0.0.0/33'] }, 'trustedProxies.0', /CIDR/],
  ['a host name', { proxyProtocol: true, trustedProxies: ['proxy.local'] }, 'trustedProxies.0', /CIDR/],
  ['patience', { patience: 0 }, 'patience', /1 ms or more/],
  ['a short secret', { mode: 'request', issue: true, secret: 'short' }, 'secret', /16 characters/],
  ['a cookie for a header', { mode: 'request', key: { header: 'x' }, issue: true }, 'issue', /cookie/],
];

for (const [name, options, at, message] of wrong) {
  test(`wrong: ${name}`, () => {
    const { success, issues } = v.safeParse(schema, options);
    assert.equal(success, false);
    const said = issues!.map((issue) => `${v.getDotPath(issue)}: ${issue.message}`);
    assert.ok(said.some((line) => line.startsWith(at) && message.test(line)), said.join('\n'));
  });
}

test('nothing is needed', () => {
  const options = v.parse(schema, {});
  assert.equal(options.mode, 'connection');
  assert.equal(options.patience, 5_000);
  assert.deepEqual(v.parse(schema, { mode: 'request', issue: true }).key, undefined);
});

test('ranges of both families', () => {
  const trusted = addressList(['10.1.0.0/16', '192.0.2.1', '2001:db8::/32', '::1']);
  for (const address of ['10.1.255.255', '192.0.2.1', '2001:db8:5::1', '::1']) assert.equal(trusted(address), true, address);
  for (const address of ['10.2.0.1', '192.0.2.2', '2001:db9::1', '::2', '127.0.0.1']) assert.equal(trusted(address), false, address);
});

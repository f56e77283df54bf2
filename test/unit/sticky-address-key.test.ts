import assert from 'node:assert/strict';
import test from 'node:test';
import { addressKey, plainAddress } from '../../plugins/sticky-session/address-key.js';

const same = (a: string, b: string) => assert.equal(addressKey(a), addressKey(b), `${a} and ${b}`);
const differ = (a: string, b: string) => assert.notEqual(addressKey(a), addressKey(b), `${a} and ${b}`);

test('an IPv4 address is the same client however it is mapped into IPv6', () => {
  same('192.0.2.7', '::ffff:192.0.2.7');
  same('192.0.2.7', '::ffff:c000:207');
  same('192.0.2.7', '0:0:0:0:0:ffff:c000:0207');
  differ('192.0.2.7', '192.0.2.8');
});

test('IPv6 counts by its /64', () => {
  same('2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff');
  same('2001:db8::1', '2001:0DB8:0:0:5::');
  same('fe80::1%eth0', 'fe80::2');
  differ('2001:db8:1:2::1', '2001:db8:1:3::1');
  differ('2001:db8:1:2::1', '2001:db8:2:1::1');
  differ('::1', '1::');
});

test('a plain form to compare with what a user writes', () => {
  assert.equal(plainAddress('::ffff:127.0.0.1'), '127.0.0.1');
  assert.equal(plainAddress('127.0.0.1'), '127.0.0.1');
  assert.equal(plainAddress('::1'), '::1');
});

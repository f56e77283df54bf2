import assert from 'node:assert/strict';
import test from 'node:test';
import { parseProxyHeader, type ProxyHeader } from '../../plugins/sticky-session/proxy-header.js';
import { v2 } from '../helpers/proxy-protocol.js';

/** Feeds exactly the bytes that are asked for, as the reader on a connection does. */
function read(bytes: Buffer): { result: ProxyHeader; taken: number } {
  let taken = 0;
  for (;;) {
    const result = parseProxyHeader(bytes.subarray(0, taken));
    if (!('need' in result) || taken >= bytes.length) return { result, taken };
    assert.ok(result.need > 0);
    taken = Math.min(bytes.length, taken + result.need);
  }
}

const lines: [string, { address: string; port: number } | null][] = [
  ['PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n', { address: '192.0.2.1', port: 56324 }],
  ['PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n', { address: '1.1.1.1', port: 1 }],
  ['PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n', { address: '255.255.255.255', port: 65535 }],
  ['PROXY TCP6 2001:db8::1 :: 1 1\r\n', { address: '2001:db8::1', port: 1 }],
  ['PROXY TCP6 2001:DB8:0:0:0:0:0:9 :: 1 1\r\n', { address: '2001:db8::9', port: 1 }],
  ['PROXY TCP6 :: :: 1 1\r\n', { address: '::', port: 1 }],
  ['PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n', {
    address: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', port: 65535,
  }],
  ['PROXY UNKNOWN\r\n', null],
  ['PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n', null],
];

for (const [line, peer] of lines) {
  test(`version 1: ${line.trim()}, and not a byte too many`, () => {
    const { result, taken } = read(Buffer.from(`${line}GET / HTTP/1.1\r\n`));
    assert.deepEqual(result, { peer });
    assert.equal(taken, line.length);
  });
}

test('version 2: IPv4, IPv6, with extensions, a local command, a unix socket; not a byte too many', () => {
  const cases: [Buffer, unknown][] = [
    [v2('192.0.2.9', 4711), { address: '192.0.2.9', port: 4711 }],
    [v2('2001:db8::9', 4711), { address: '2001:db8::9', port: 4711 }],
    [v2('192.0.2.9', 4711, { extension: Buffer.alloc(300, 1) }), { address: '192.0.2.9', port: 4711 }],
    [v2('192.0.2.9', 4711, { command: 0x20 }), null],
    [v2('192.0.2.9', 4711, { family: 0x31 }), null],
  ];
  for (const [header, peer] of cases) {
    const { result, taken } = read(Buffer.concat([header, Buffer.from('rest')]));
    assert.deepEqual(result, { peer });
    assert.equal(taken, header.length);
  }
});

const wrong: [string, Buffer][] = [
  ['no header at all', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
  ['TLS', Buffer.from('16030100f8010000f40303', 'hex')],
  ['a line without an end', Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`)],
  ['a line with a letter for a port', Buffer.from('PROXY TCP4 1.1.1.1 1.1.1.1 one 80\r\n')],
  ['a line with an address of the other family', Buffer.from('PROXY TCP4 ::1 ::1 1 1\r\n'.padEnd(40))],
  ['a line with a port too large', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.1 99999 80\r\n')],
  ['a line with a wrong destination', Buffer.from('PROXY TCP4 192.0.2.1 nowhere 1234 8080\r\n')],
  ['a line with a bare newline', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.1 1234 8080\n')],
  ['version 3', v2('192.0.2.9', 1, { command: 0x31 })],
  ['an unknown command', v2('192.0.2.9', 1, { command: 0x27 })],
  ['an oversized header', v2('192.0.2.9', 1, { extension: Buffer.alloc(5_000) })],
  ['a header too short for its address', v2('192.0.2.9', 1, { family: 0x21 })],
];

for (const [name, bytes] of wrong) {
  test(`malformed: ${name}`, () => {
    const { result } = read(bytes);
    if (name === 'TLS') assert.deepEqual(result, { need: 1 });
    else assert.ok('error' in result, JSON.stringify(result));
  });
}

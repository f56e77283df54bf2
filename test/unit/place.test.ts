import assert from 'node:assert/strict';
import { test } from 'node:test';
import { covers, overlap, placeOf } from '../../lib/master/connections/held-address.js';
import type { Place } from '../../lib/node/listening.js';

const place = (address: string | null, port = 80, flags = 0): Place =>
  placeOf({ address, port, addressType: address?.includes(':') ? 6 : 4, flags }) as Place;

const everywhere = place(null);
const table: [outer: Place, inner: Place, covers: boolean, overlap: boolean][] = [
  [everywhere, place('127.0.0.1'), true, true],
  [everywhere, place('::'), true, true],
  [place('::'), everywhere, true, true],
  [place('::'), place('0.0.0.0'), true, true],
  [place('::'), place('127.0.0.1'), true, true],
  [place('::'), place('::1'), true, true],
  [place('0.0.0.0'), place('127.0.0.1'), true, true],
  [place('0.0.0.0'), place('::1'), false, false],
  [place('0.0.0.0'), place('::'), false, true],
  [place('127.0.0.1'), place('127.0.0.1'), true, true],
  [place('127.0.0.1'), place('0.0.0.0'), false, true],
  [place('127.0.0.1'), place('127.0.0.2'), false, false],
  [place('127.0.0.1'), place('::1'), false, false],
  [place('::', 80, 1), place('::1'), true, true],
  [place('::', 80, 1), place('127.0.0.1'), false, false],
  [place('::', 80, 1), place('0.0.0.0'), false, false],
  [everywhere, place(null, 81), false, false],
];

for (const [outer, inner, does, both] of table) {
  const shown = ({ host, port, ipv6Only }: Place) => `${host ?? 'everywhere'}:${port}${ipv6Only ? ' (IPv6 alone)' : ''}`;
  test(`${shown(outer)} ${does ? 'covers' : 'does not cover'} ${shown(inner)}, and ${both ? 'only one' : 'both'} can listen`, () => {
    assert.equal(covers(outer, inner), does);
    assert.equal(overlap(outer, inner), both);
    assert.equal(overlap(inner, outer), both);
  });
}

test('unix sockets, descriptors and UDP have no place of this kind', () => {
  assert.equal(placeOf({ address: '/run/app.sock', port: -1, addressType: -1 }), null);
  assert.equal(placeOf({ address: null, port: -1, addressType: 4, fd: 3 }), null);
  assert.equal(placeOf({ address: null, port: 53, addressType: 'udp4' }), null);
});

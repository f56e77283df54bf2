import { hashText, mix } from './rendezvous.js';

/** What a client's address is hashed by: IPv4 whole, also where it comes mapped into IPv6; IPv6 by its /64, which is one household. */
export function addressKey(address: string): number {
  if (!address.includes(':')) return hashText(address);
  // What a socket for both families reports of nearly every client.
  if (address.startsWith('::ffff:') && address.includes('.')) return hashText(address.slice(7));
  const groups = groupsOf(address);
  const [a, b, c, d, e, f, g, h] = groups as [number, number, number, number, number, number, number, number];
  if ((a | b | c | d | e) === 0 && f === 0xffff) return hashText(`${g >> 8}.${g & 255}.${h >> 8}.${h & 255}`);
  return mix(mix(mix(a << 16 | b) ^ (c << 16 | d)) ^ 6);
}

/** Plain form for comparisons: an IPv4 address mapped into IPv6 as IPv4. */
export function plainAddress(address: string): string {
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(address) ? address.slice(7) : address;
}

/** The eight 16-bit groups of an IPv6 address. */
function groupsOf(address: string): number[] {
  const zone = address.indexOf('%');
  const [head = '', tail] = (zone < 0 ? address : address.slice(0, zone)).split('::');
  const front = parse(head);
  const back = tail === undefined ? [] : parse(tail);
  while (front.length + back.length < 8) front.push(0);
  return [...front, ...back];
}

function parse(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [parseInt(group, 16) & 0xffff];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [a << 8 | b, c << 8 | d];
  });
}

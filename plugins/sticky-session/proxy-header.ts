import { SocketAddress, isIPv4, isIPv6 } from 'node:net';

/** The client behind a proxy; null: the proxy speaks for itself (a health check), or does not tell. */
export interface ProxiedPeer {
  address: string;
  port: number;
}

export type ProxyHeader =
  /** Not complete: so many bytes more, and not one of what follows the header. */
  | { need: number }
  | { peer: ProxiedPeer | null }
  | { error: string };

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Bytes of a version 1 line at most, and at least for each protocol: as many may be read without looking. */
const V1_MOST = 107;
const V1_LEAST: Readonly<Record<string, number>> = { TCP4: 32, TCP6: 22 };
const V1_UNKNOWN_LEAST = 15;
const V1 = /^PROXY (?:(TCP4|TCP6) (\S+) (\S+) (\d{1,5}) (\d{1,5})|UNKNOWN[^\r]*)\r\n$/;
/** Addresses take up to 216 bytes; the rest is for extensions. */
const V2_MOST = 4_096;
const V2_FIXED = 16;

/** Reads the header of PROXY protocol version 1 or 2 (haproxy.org, doc/proxy-protocol.txt), as far as it has come. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (bytes.length < SIGNATURE.length) return { need: SIGNATURE.length - bytes.length };
  if (bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE)) return parseBinary(bytes);
  if (bytes.subarray(0, 6).toString('latin1') === 'PROXY ') return parseLine(bytes);
  return { error: 'no PROXY header' };
}

function parseLine(bytes: Buffer): ProxyHeader {
  if (!bytes.includes(10)) {
    if (bytes.length >= V1_MOST) return { error: `a PROXY line longer than ${V1_MOST} bytes` };
    const least = V1_LEAST[bytes.toString('latin1', 6, 10)] ?? V1_UNKNOWN_LEAST;
    return { need: Math.max(1, least - bytes.length) };
  }
  const found = V1.exec(bytes.toString('latin1'));
  if (!found) return { error: 'a malformed PROXY line' };
  const [, family, address = '', destination = '', port, destinationPort] = found;
  if (family === undefined) return { peer: null };
  const right = [address, destination].every(family === 'TCP4' ? isIPv4 : isIPv6)
    && [port, destinationPort].every((one) => Number(one) <= 65_535);
  if (!right) return { error: 'a PROXY line with a wrong address' };
  return { peer: { address: family === 'TCP4' ? address : asNodeWrites(address), port: Number(port) } };
}

function parseBinary(bytes: Buffer): ProxyHeader {
  if (bytes.length < V2_FIXED) return { need: V2_FIXED - bytes.length };
  const command = bytes[12] as number;
  const length = bytes.readUInt16BE(14);
  if (command >> 4 !== 2 || (command & 15) > 1) return { error: `PROXY version and command 0x${command.toString(16)}` };
  if (length > V2_MOST) return { error: `a PROXY header of ${length} bytes` };
  const rest = bytes.subarray(V2_FIXED);
  if (rest.length < length) return { need: length - rest.length };
  if ((command & 15) === 0) return { peer: null };
  const family = (bytes[13] as number) >> 4;
  if (family === 1 && length >= 12) return { peer: { address: rest.subarray(0, 4).join('.'), port: rest.readUInt16BE(8) } };
  if (family === 2 && length >= 36) return { peer: { address: groups(rest.subarray(0, 16)), port: rest.readUInt16BE(32) } };
  return family === 1 || family === 2 ? { error: 'a PROXY header too short for its address' } : { peer: null };
}

const groups = (bytes: Buffer): string =>
  asNodeWrites(Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16)).join(':'));

/** One client has one spelling, that of a socket without a proxy: `2001:db8::1`, `::ffff:10.1.2.3`. */
const asNodeWrites = (address: string): string => new SocketAddress({ address, family: 'ipv6' }).address;

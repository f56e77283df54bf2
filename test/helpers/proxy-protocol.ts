import { isIPv6 } from 'node:net';

/** A header of PROXY protocol version 2. */
export function v2(
  address: string, port: number,
  { command = 0x21, family, extension = Buffer.alloc(0) }: { command?: number; family?: number; extension?: Buffer } = {},
): Buffer {
  const source = bytesOf(address);
  const addresses = Buffer.alloc(source.length * 2 + 4);
  source.copy(addresses);
  addresses.writeUInt16BE(port, source.length * 2);
  const head = Buffer.from('\r\n\r\n\0\r\nQUIT\n....', 'latin1');
  head[12] = command;
  head[13] = family ?? (isIPv6(address) ? 0x21 : 0x11);
  head.writeUInt16BE(addresses.length + extension.length, 14);
  return Buffer.concat([head, addresses, extension]);
}

export const v1 = (address: string, port: number): Buffer =>
  Buffer.from(isIPv6(address) ? `PROXY TCP6 ${address} ::1 ${port} 80\r\n` : `PROXY TCP4 ${address} 127.0.0.1 ${port} 80\r\n`);

function bytesOf(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number));
  const [front = '', back = ''] = address.split('::');
  const groups = (text: string) => text === '' ? [] : text.split(':').map((group) => parseInt(group, 16));
  const head = groups(front);
  const tail = groups(back);
  const all = [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 255]));
}

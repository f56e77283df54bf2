import type { IncomingMessage } from 'node:http';
import { HOP_HEADER } from './hop.js';

const FORWARDED_FOR = 'x-forwarded-for';

/** A mark costs a quarter of what a WeakSet does, and its collection less. */
const MET = Symbol('met');

/**
 * At the first worker that a request meets, wherever it goes on to: what only we may say is removed, and with `forwardedFor` the
 * last address of X-Forwarded-For is the one that we have seen, whatever the client has written before it.
 */
export function enter(request: IncomingMessage, forwardedFor: boolean): void {
  // An app may emit its request once more, after `checkContinue` for instance.
  const marked = request as { [MET]?: true };
  if (marked[MET]) return;
  marked[MET] = true;
  const { headers, rawHeaders } = request;
  if (headers[HOP_HEADER] !== undefined) {
    delete headers[HOP_HEADER];
    for (let at = lineOf(rawHeaders, HOP_HEADER); at >= 0; at = lineOf(rawHeaders, HOP_HEADER)) rawHeaders.splice(at, 2);
  }
  if (!forwardedFor) return;
  const address = plain(request.socket.remoteAddress ?? 'unknown');
  const before = headers[FORWARDED_FOR];
  headers[FORWARDED_FOR] = before ? `${[before].flat().join(', ')}, ${address}` : address;
  // Several lines are one list (RFC 9110, 5.3), to which ours goes at the end.
  const at = lineOf(rawHeaders, FORWARDED_FOR);
  if (at < 0) rawHeaders.push('X-Forwarded-For', address);
  else rawHeaders[at + 1] = rawHeaders[at + 1] ? `${rawHeaders[at + 1]}, ${address}` : address;
}

/** The last one of this name; -1 for none. */
function lineOf(raw: readonly string[], name: string): number {
  for (let at = raw.length - 2; at >= 0; at -= 2) if (raw[at]?.toLowerCase() === name) return at;
  return -1;
}

/** Where a server listens on IPv6 as well, an IPv4 address comes as `::ffff:192.0.2.1`. */
const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { showPeer, type Ends } from './peer.js';

/** What one worker tells another about a request that it sends on. It exists between private sockets alone. */
export interface Hop {
  /** The app's server that the client spoke to: its port or path. */
  server: string;
  /** The process that sends it on, by its `id`. */
  from: number;
  ends: Ends;
}

export const HOP_HEADER = 'x-hatchery-hop';

/** Headers that concern one connection only (RFC 9110, 7.6.1), and ours, which nobody outside may set. */
const PER_CONNECTION = new Set(['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'te', 'upgrade', HOP_HEADER]);
/** What a hop's ends put on a socket (showPeer). */
const SHOWN = ['remoteAddress', 'remotePort', 'remoteFamily', 'localAddress', 'localPort', 'localFamily', 'encrypted'];
/** An answer is framed anew: the client may speak HTTP/1.0 or HTTP/2. */
const FRAMING = 'transfer-encoding';

/** Names and values in turn, as they came, without those that concern one connection and HTTP/2's pseudo-headers. */
export function endToEnd(raw: readonly string[], { tunnel = false, framing = true } = {}): string[] {
  const kept: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const lower = name.toLowerCase();
    if (lower === HOP_HEADER || name.startsWith(':') || (!tunnel && PER_CONNECTION.has(lower)) || (!framing && lower === FRAMING)) continue;
    kept.push(name, raw[i + 1] as string);
  }
  return kept;
}

/** An object for HTTP/2's `writeHead`, which would keep only the last of several cookies. */
export function asObject(headers: readonly string[]): Record<string, string | string[]> {
  const object: Record<string, string | string[]> = {};
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    const before = object[name];
    object[name] = before === undefined ? headers[i + 1] as string : [before, headers[i + 1] as string].flat();
  }
  return object;
}

export function describeHop(server: string, from: number, socket: Socket): string {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  const encrypted = (socket as { encrypted?: boolean }).encrypted === true ? true : undefined;
  return JSON.stringify({ server, from, ends: { remoteAddress, remotePort, localAddress, localPort, encrypted } } satisfies Hop);
}

/** At the owner: reads the hop, removes it, and makes the socket show the client. Undefined: no hop, so not one of ours. */
export function takeHop(request: IncomingMessage): Hop | undefined {
  const text = request.headers[HOP_HEADER];
  if (typeof text !== 'string') return undefined;
  delete request.headers[HOP_HEADER];
  const { rawHeaders } = request;
  const at = rawHeaders.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === HOP_HEADER);
  rawHeaders.splice(at, 2);
  try {
    const hop = JSON.parse(text) as Hop;
    // Everything of the one before on this connection goes.
    for (const name of SHOWN) Reflect.deleteProperty(request.socket, name);
    showPeer(request.socket, hop.ends);
    return hop;
  } catch {
    return undefined;
  }
}

import type { IncomingMessage } from 'node:http';
import net, { type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Agents } from './agents.js';
import type { Forwarding } from './forward.js';
import { HOP_HEADER, describeHop, endToEnd } from './hop.js';

/**
 * A request that turns its connection into something else (WebSocket, CONNECT): from here on a pipe between client and owner.
 * False: the owner turned out to be this process. Never rejects.
 */
export async function tunnel(
  request: IncomingMessage, client: Duplex, head: Buffer, agents: Agents, forwarding: Forwarding,
): Promise<boolean> {
  try {
    return await send(request, client, head, agents, forwarding);
  } catch {
    client.destroy();
    return true;
  }
}

async function send(
  request: IncomingMessage, client: Duplex, head: Buffer, agents: Agents, { server, from, socketOf, next }: Forwarding,
): Promise<boolean> {
  // Nobody listens to it until the pipe stands.
  const ignore = () => {};
  client.on('error', ignore);
  const hop = describeHop(server, from, request.socket);
  let failed: number | null = null;
  for (;;) {
    const owner = await next(failed);
    if (client.destroyed) return true;
    if (owner === 'here') {
      client.off('error', ignore);
      return false;
    }
    if (owner === null) {
      client.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n');
      return true;
    }
    agents.begin(owner);
    const upstream = await connect(socketOf(owner));
    if (upstream) {
      taken(upstream, () => agents.end(owner));
      join(client, upstream, [headOf(request, hop), head]);
      return true;
    }
    agents.end(owner);
    failed = owner;
  }
}

function connect(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = net.connect({ path, allowHalfOpen: true });
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(null));
  });
}

/** Once the owner has said something it counts the tunnel among its own. */
function taken(upstream: Socket, then: () => void): void {
  const once = () => {
    upstream.off('data', once).off('close', once);
    then();
  };
  upstream.on('data', once).on('close', once);
}

function join(client: Duplex, upstream: Socket, first: Buffer[]): void {
  if (client.destroyed) {
    upstream.destroy();
    return;
  }
  upstream.on('error', () => client.destroy());
  upstream.on('close', () => client.destroy());
  client.on('close', () => upstream.destroy());
  for (const bytes of first) upstream.write(bytes);
  upstream.pipe(client);
  client.pipe(upstream);
}

function headOf(request: IncomingMessage, hop: string): Buffer {
  const headers = [...endToEnd(request.rawHeaders, { tunnel: true }), HOP_HEADER, hop];
  let text = `${request.method} ${request.url} HTTP/1.1\r\n`;
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return Buffer.from(`${text}\r\n`, 'latin1');
}

import { mkdtempSync, rmSync } from 'node:fs';
import net, { type AddressInfo, type Server } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { BACKLOG, ownPort, type RawHandle } from './raw-sockets.js';

type InternalServer = Server & {
  _handle: RawHandle | null;
  _listen2(address: string | null, port: number, type: number, backlog: number, ...rest: unknown[]): void;
};

/** Whatever a server is told to listen on next, it listens on this handle, or thinks so. */
export function listenOn(server: Server, handle: RawHandle): void {
  server.listen = function listen(this: InternalServer) {
    this._handle = handle;
    this._listen2(null, -1, -1, BACKLOG);
    return this;
  } as Server['listen'];
}

/**
 * For a server of node:cluster whose address somebody else listens on already: it has a handle like any other, and nothing
 * comes of it. `named`: as its workers are to see their address.
 */
export const standInFor = (handle: RawHandle, named: { address: string; family: string } | null): RawHandle => ({
  close: () => {},
  listen: () => 0,
  getsockname: handle.getsockname && ((out) => {
    const error = handle.getsockname?.(out) ?? 0;
    if (named) Object.assign(out, named);
    return error;
  }),
});

/** A TCP address to listen on. Null host: all of them. */
export interface Place {
  host: string | null;
  port: number;
  family: 4 | 6;
  /** `::` alone takes IPv4 as well. */
  ipv6Only: boolean;
}

/** libuv's UV_TCP_IPV6ONLY and UV_TCP_REUSEPORT. */
export const IPV6_ONLY = 1;
const REUSE_PORT = 2;

type CreateHandle = (address: string | null, port: number, type: number, fd?: number, flags?: number) => RawHandle | number;
const createHandle: CreateHandle = (...args) => (net as unknown as { _createServerHandle: CreateHandle })._createServerHandle(...args);

/**
 * A socket that is bound and does not listen; null where the system says no. `shared`: beside others that are, of which each has a
 * queue in the kernel of its own (SO_REUSEPORT).
 */
export function bindAt({ host, port, family, ipv6Only }: Place, shared = false): RawHandle | null {
  const handle = createHandle(host, port, family, undefined, (ipv6Only ? IPV6_ONLY : 0) | (shared ? REUSE_PORT : 0));
  if (typeof handle === 'number') return null;
  // libuv keeps it for later that somebody else listens there.
  if (!handle.getsockname?.({})) return handle;
  handle.close();
  return null;
}

/** Listens on a TCP address at once; null where the system says no. */
export function listenAt(place: Place, { shared = false, backlog = BACKLOG } = {}): RawHandle | null {
  const handle = bindAt(place, shared);
  if (!handle?.listen?.(backlog)) return handle;
  handle.close();
  return null;
}

/** Where it is bound: with the port and the family that the system has chosen. */
export function boundTo(handle: RawHandle, { host, ipv6Only }: Place): Place {
  const bound: { address?: string; family?: string; port?: number } = {};
  handle.getsockname?.(bound);
  return { host: host ?? bound.address ?? null, port: bound.port ?? 0, family: bound.family === 'IPv4' ? 4 : 6, ipv6Only };
}

/** Whether two sockets can listen on one port here. */
export function sharesPorts(): boolean {
  const place: Place = { host: '127.0.0.1', port: 0, family: 4, ipv6Only: false };
  const first = listenAt(place, { shared: true });
  const second = first && listenAt(boundTo(first, place), { shared: true });
  first?.close();
  second?.close();
  return second !== null;
}

let everywhere: { address: string; family: string } | undefined;

/** How a server sees its own address that was told this host; null: all of them, which is `::` where the host has IPv6. */
export function seenAs(host: string | null, family: number): { address: string; family: string } {
  if (host) return { address: host, family: `IPv${family}` };
  if (!everywhere) {
    const handle = listenAt({ host: '::', port: 0, family: 6, ipv6Only: false });
    handle?.close();
    everywhere = handle ? { address: '::', family: 'IPv6' } : { address: '0.0.0.0', family: 'IPv4' };
  }
  return everywhere;
}

/** Binds a unix socket without listening on it: whoever listens first makes it so for all that share it. A number is the error. */
export const bindOnly = (file: string): RawHandle | number => createHandle(file, -1, -1);

/** A server is given a handle that is bound; a port is listened on, closed and listened on again in one turn; a stand-in. */
export async function probe(): Promise<string | null> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'ht-probe-'));
  try {
    return (process.platform === 'win32' ? null : await probeBound(path.join(dir, 's'))) ?? await probeListenAt();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function probeBound(file: string): Promise<string | null> {
  const handle = bindOnly(file);
  if (typeof handle === 'number' || !handle) return `\`net._createServerHandle\` cannot bind a unix socket: ${handle}`;
  const server = net.createServer((socket) => { socket.end('served'); });
  listenOn(server, handle);
  await new Promise((resolve) => server.once('listening', resolve).listen());
  const answer = await read(net.connect(file));
  server.close();
  if (answer !== 'served') return 'a server does not listen on the handle that it is given (`_handle`, `_listen2`)';
  return null;
}

/** A port that was let go is listened on in the same turn, and a server with a stand-in thinks that it listens there. */
async function probeListenAt(): Promise<string | null> {
  const place: Place = { host: '127.0.0.1', port: 0, family: 4, ipv6Only: false };
  const first = listenAt(place);
  const port = first ? ownPort(first) : undefined;
  first?.close();
  const again = port === undefined ? null : listenAt({ ...place, port });
  if (!again) return '`net._createServerHandle` does not listen on a port that was closed in the same turn';
  const server = net.createServer();
  listenOn(server, standInFor(again, seenAs('0.0.0.0', 4)));
  await new Promise((resolve) => server.once('listening', resolve).listen());
  const shown = server.address() as AddressInfo | null;
  again.close();
  return shown?.port === port && shown?.address === '0.0.0.0' ? null : 'a server does not listen on a stand-in for a handle';
}

const read = (client: net.Socket): Promise<string> => new Promise((resolve, reject) => {
  client.once('error', reject).once('data', (data) => { resolve(data.toString()); });
});

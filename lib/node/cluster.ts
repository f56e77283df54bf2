import type { ChildProcess } from 'node:child_process';
import cluster from 'node:cluster';
import net, { type Server } from 'node:net';
import type { RawHandle } from './raw-sockets.js';

/** node:cluster's own messages, as far as they concern us (lib/internal/cluster in Node's source), and ours that go the same way. */
export interface ClusterMessage {
  cmd?: string;
  act?: string;
  seq?: number;
  ack?: number;
  key?: string;
  errno?: number | null;
  accepted?: boolean;
  note?: unknown;
  path?: string;
  address?: string | null;
  port?: number;
  addressType?: number | string;
  flags?: number;
  fd?: number | string;
  index?: number;
  backlog?: number;
}

type Hear = (message: ClusterMessage, handle?: RawHandle) => void;
type Done = (error: Error | null) => void;
type Sends = { send(message: object, handle: RawHandle, options: object, done: Done): boolean };

/** Whether it is node:cluster's, or one that only goes its way. */
export const isClusters = (message: ClusterMessage): boolean => message?.cmd === 'NODE_CLUSTER';

/** Whether Node keeps a message to itself: by the same rule. */
export const isInternal = (message: unknown): message is ClusterMessage & { cmd: string } => {
  const cmd = typeof message === 'object' && message !== null ? (message as { cmd?: unknown }).cmd : undefined;
  return typeof cmd === 'string' && cmd.length > PREFIX.length && cmd.startsWith(PREFIX);
};
const PREFIX = 'NODE_';

/** Hears what comes over Node's channel for Node itself: `before` it does, and `after`. */
export function hearInternal(from: ChildProcess | NodeJS.Process, before: Hear, after?: () => void): void {
  from.prependListener('internalMessage' as 'message', before as NodeJS.MessageListener);
  if (after) from.on('internalMessage' as 'message', after);
}

/** Sees what is sent over Node's channel, before it is. */
export function seeSent(to: ChildProcess, see: (message: ClusterMessage) => void): void {
  const send = to.send.bind(to) as (...args: unknown[]) => boolean;
  (to as { send: unknown }).send = (message: ClusterMessage, ...rest: unknown[]) => {
    see(message);
    return send(message, ...rest);
  };
}

/** Sends a handle over Node's channel; `done` when it has left, which with a handle is when the other side has it. */
export function sendHandle(to: ChildProcess | NodeJS.Process, message: ClusterMessage, handle: RawHandle, done: Done): void {
  (to as unknown as Sends).send(message, handle, {}, done);
}

/**
 * Hears what has become of the handle that was sent last: its receiver has it, or, with no descriptor left for it, neither that
 * nor the message, which Node sends once (test/integration/figures-missing.test.ts).
 */
export function hearArrival(to: ChildProcess, arrived: (whole: boolean) => void): void {
  hearInternal(to, ({ cmd }) => { if (cmd === 'NODE_HANDLE_ACK' || cmd === 'NODE_HANDLE_NACK') arrived(cmd === 'NODE_HANDLE_ACK'); });
}

/** A connection for a worker's listener, as node:cluster's round-robin sends it; answered with `ack: seq` and `accepted`. */
export const newConnection = (key: string, seq: number, note: unknown): ClusterMessage =>
  ({ cmd: 'NODE_CLUSTER', act: 'newconn', key, seq, ...(note === undefined ? {} : { note }) });

/** node:cluster's name for an address that a worker asks for (`act: 'queryServer'`), which its later messages use. */
export const addressKey = ({ address, port, addressType, fd, index }: ClusterMessage): string =>
  `${address}:${port}:${addressType}:${fd}:${index}`;

/**
 * Addresses with the same name are one address to node:cluster, whichever cluster of this process a worker belongs to. Each
 * cluster puts its own mark into the names, before node:cluster reads the message: a text where a descriptor would be, which
 * is as good as none, or at the family of one, where nothing looks at it.
 */
export function markAddress(message: ClusterMessage, mark: string): void {
  const { fd, addressType } = message;
  if (typeof fd !== 'number' || fd < 0) message.fd = mark;
  else if (!String(addressType).startsWith('udp')) message.addressType = `${addressType}-${mark}`;
}

/** The name of an address that no worker has asked for yet: a guess at what one will, in the cluster of that mark. */
export function expectedKey(server: Server, { host, path: file }: { host?: string; path?: string }, mark: string): string {
  const key = (message: ClusterMessage) => {
    markAddress(message, mark);
    return addressKey(message);
  };
  const bound = server.address();
  if (typeof bound === 'string' || !bound) return key({ address: file, port: -1, addressType: -1, index: 0 });
  const { address, port, family } = bound;
  if (host === undefined) return key({ address: null, port, addressType: 4, index: 0 });
  return key({ address, port, addressType: family === 'IPv6' ? 6 : 4, index: 0 });
}

/**
 * How connections reach workers; one way for all clusters of a process, as node:cluster keeps to the first that it is told.
 * False where it has been told the other one.
 */
export function schedule(shared: boolean): boolean {
  const wanted = shared ? cluster.SCHED_NONE : cluster.SCHED_RR;
  if (Object.keys(cluster.settings).length > 0) return cluster.schedulingPolicy === wanted;
  cluster.schedulingPolicy = wanted;
  // Now and not at the first fork, before which another cluster may want the other one.
  cluster.setupPrimary();
  return true;
}

/** What node:cluster makes for a worker that asks for an address: a server under SCHED_RR, a handle that workers share under SCHED_NONE. */
export interface HandleMaker {
  /** A server that is to listen next. */
  server(made: Server): void;
  handle(make: () => RawHandle | number): RawHandle | number;
}

const makers = new Set<HandleMaker>();
let restore: (() => void) | undefined;

/**
 * Stands before the two functions that node:cluster makes its handles with, looked up at each call. Once for all clusters of
 * the process, which may end in any order. Returns what ends it.
 */
export function seeHandlesMade(maker: HandleMaker): () => void {
  makers.add(maker);
  restore ??= standBefore();
  return () => {
    makers.delete(maker);
    if (makers.size > 0) return;
    restore?.();
    restore = undefined;
  };
}

function standBefore(): () => void {
  const { createServer } = net;
  const internal = net as unknown as { _createServerHandle(...args: unknown[]): RawHandle | number };
  const createHandle = internal._createServerHandle;
  net.createServer = ((...args: Parameters<typeof createServer>) => {
    const server = createServer(...args);
    if (cluster.schedulingPolicy === cluster.SCHED_RR) for (const maker of makers) maker.server(server);
    return server;
  }) as typeof createServer;
  internal._createServerHandle = (...args) => {
    let make = () => createHandle(...args);
    if (cluster.schedulingPolicy === cluster.SCHED_NONE) {
      for (const maker of makers) {
        const inner = make;
        make = () => maker.handle(inner);
      }
    }
    return make();
  };
  return () => {
    net.createServer = createServer;
    internal._createServerHandle = createHandle;
  };
}

type GetServer = (server: Server, options: object, listening: (error: number, handle?: RawHandle) => void) => void;

/**
 * In a worker: tells of each server whose connections the master accepts, with node:cluster's name for its address and the
 * stand-in for a listening handle that it is given. To be called before anything listens.
 */
export function seeListeners(then: (key: string, server: Server, handle: RawHandle) => void): void {
  let answered: string | undefined;
  hearInternal(process, (message) => { if (isClusters(message) && message.ack !== undefined) answered = message.key; });
  // node:cluster tells the key of an address with its answer, which it hands on at once.
  const internal = cluster as unknown as { _getServer: GetServer };
  const getServer = internal._getServer;
  internal._getServer = (server, options, listening) => getServer(server, options, (error, handle) => {
    // A plain object: an address that the workers share has a handle of the system.
    if (answered !== undefined && handle && Object.getPrototypeOf(handle) === Object.prototype) then(answered, server, handle);
    listening(error, handle);
  });
}

/**
 * What master and workers say beside the channel, on Node's own, since a handle goes along. Node passes messages whose `cmd`
 * starts with `NODE_` on as internal ones, beside those of node:cluster, so no application sees them.
 */
export const message = {
  /** From the worker: a connection that it gives back. */
  connectionBack: 'NODE_HATCHERY_CONNECTION_BACK',
  /** To the worker: its end of a pipe that brings connections. */
  pipe: 'NODE_HATCHERY_PIPE',
  /** To the worker: a socket that the master holds, `path` with it; `child.accept` tells when to begin. */
  heldSocket: 'NODE_HATCHERY_ACCEPT',
  /** To the worker: its slot's socket for its listener `key`, to accept from at once, with this `backlog`. */
  slotSocket: 'NODE_HATCHERY_SLOT_SOCKET',
} as const;

/** The worker's words on the pipe, a byte each: it is there; the connection is taken; its server closes, or is full. */
export const word = { open: 'o', taken: 't', refused: 'r' } as const;

/** The master's: node:cluster's key of the address, and what plugins have noted of the connection that comes along. */
export type Handed = [key: string, note?: unknown];

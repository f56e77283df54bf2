import { execFile, type ChildProcess } from 'node:child_process';
import cluster from 'node:cluster';
import { mkdtempSync, rmSync } from 'node:fs';
import net, { type AddressInfo, type Server } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { handleOf, type RawHandle } from './raw-sockets.js';

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
  fd?: number;
  index?: number;
}

type Hear = (message: ClusterMessage, handle?: RawHandle) => void;
type Done = (error: Error | null) => void;
type Sends = { send(message: object, handle: RawHandle, options: object, done: Done): boolean };
type InternalServer = Server & {
  _handle: RawHandle | null;
  _listen2(address: string | null, port: number, type: number, backlog: number, ...rest: unknown[]): void;
};

/** Whether it is node:cluster's, or one that only goes its way. */
export const isClusters = (message: ClusterMessage): boolean => message?.cmd === 'NODE_CLUSTER';

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

/** A connection for a worker's listener, as node:cluster's round-robin sends it; answered with `ack: seq` and `accepted`. */
export const newConnection = (key: string, seq: number, note: unknown): ClusterMessage =>
  ({ cmd: 'NODE_CLUSTER', act: 'newconn', key, seq, ...(note === undefined ? {} : { note }) });

/** node:cluster's name for an address that a worker asks for (`act: 'queryServer'`), which its later messages use. */
export const addressKey = ({ address, port, addressType, fd, index }: ClusterMessage): string =>
  `${address}:${port}:${addressType}:${fd}:${index}`;

/** The name of an address that no worker has asked for yet: a guess at what one will. */
export function expectedKey(server: Server, { host, path: file }: { host?: string; path?: string }): string {
  const bound = server.address();
  if (typeof bound === 'string' || !bound) return addressKey({ address: file, port: -1, addressType: -1, index: 0 });
  const { address, port, family } = bound;
  if (host === undefined) return addressKey({ address: null, port, addressType: 4, index: 0 });
  return addressKey({ address, port, addressType: family === 'IPv6' ? 6 : 4, index: 0 });
}

/** The port in the name of an address; an IPv6 address has colons of its own. */
export const portIn = (key: string): string | undefined => key.split(':').at(-4);

/** What node:cluster makes for a worker that asks for an address: a server under SCHED_RR, a handle that workers share under SCHED_NONE. */
export interface HandleMaker {
  /** A server that is to listen next. */
  server(made: Server): void;
  handle(make: () => RawHandle | number): RawHandle | number;
}

/** Stands before the two functions that node:cluster makes its handles with, looked up at each call. Returns what ends it. */
export function seeHandlesMade(maker: HandleMaker): () => void {
  const { createServer } = net;
  const internal = net as unknown as { _createServerHandle(...args: unknown[]): RawHandle | number };
  const createHandle = internal._createServerHandle;
  net.createServer = ((...args: Parameters<typeof createServer>) => {
    const server = createServer(...args);
    if (cluster.schedulingPolicy === cluster.SCHED_RR) maker.server(server);
    return server;
  }) as typeof createServer;
  internal._createServerHandle = (...args) =>
    cluster.schedulingPolicy === cluster.SCHED_NONE ? maker.handle(() => createHandle(...args)) : createHandle(...args);
  return () => {
    net.createServer = createServer;
    internal._createServerHandle = createHandle;
  };
}

const BACKLOG = 511;

/** Whatever a server is told to listen on next, it listens on this handle. */
export function listenOn(server: Server, handle: RawHandle): void {
  server.listen = function listen(this: InternalServer) {
    this._handle = handle;
    this._listen2(null, -1, -1, BACKLOG);
    return this;
  } as Server['listen'];
}

/** Calls `then` in the same turn as a server's listen, right before it. */
export function beforeListen(server: Server, then: () => void): void {
  const internal = server as InternalServer;
  const { _listen2: listen } = internal;
  internal._listen2 = (...args) => {
    then();
    Reflect.apply(listen, server, args);
  };
}

/** Binds a unix socket without listening on it: whoever listens first makes it so for all that share it. A number is the error. */
export const bindOnly = (file: string): RawHandle | number =>
  (net as unknown as { _createServerHandle(...args: unknown[]): RawHandle | number })._createServerHandle(file, -1, -1);

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
 * A cluster of one worker: its address and key, how its handle is made, taken over and a connection of it handed on; once for
 * each scheduling policy. Runs in the file of probes.ts alone, which the worker runs as well.
 */
export async function probe(): Promise<string | null> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'ht-probe-'));
  try {
    const own = await probeListen(path.join(dir, 's')) ?? await probeWorker();
    if (own !== null) return own;
    const env = { ...process.env, [SHARED]: '1', NODE_CLUSTER_SCHED_POLICY: 'none' };
    return await new Promise((resolve, reject) => {
      execFile(process.execPath, [...process.execArgv, import.meta.filename], { env }, (error, out) => {
        if (error) reject(error);
        else resolve(JSON.parse(out) as string | null);
      });
    });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Set for the process that probes SCHED_NONE. */
const SHARED = 'HATCHERY_PROBE_SHARED';

/** What other processes of the probe do in the same file; false in the first one. */
export function playPart(): boolean {
  if (cluster.isWorker) beProbedWorker();
  else if (process.env[SHARED]) void probeWorker().then((line) => { process.stdout.write(JSON.stringify(line)); });
  else return false;
  return true;
}

interface Told {
  port: number;
  key?: string;
  /** The stand-in that node:cluster gave is the server's handle. */
  own: boolean;
}

function beProbedWorker(): void {
  const server = net.createServer((socket) => { socket.end('served'); });
  let mine: { key: string; handle: RawHandle } | undefined;
  seeListeners((key, one, handle) => { if (one === server) mine = { key, handle }; });
  server.listen(0, '127.0.0.1', () => {
    process.send?.({ port: (server.address() as AddressInfo).port, key: mine?.key, own: handleOf(server) === mine?.handle } satisfies Told);
  });
}

async function probeListen(file: string): Promise<string | null> {
  if (process.platform === 'win32') return null;
  const handle = bindOnly(file);
  if (typeof handle === 'number' || !handle) return `\`net._createServerHandle\` cannot bind a unix socket: ${handle}`;
  const server = net.createServer((socket) => { socket.end('served'); });
  let before = false;
  listenOn(server, handle);
  beforeListen(server, () => { before = true; });
  await new Promise((resolve) => server.once('listening', resolve).listen());
  const answer = await read(net.connect(file));
  server.close();
  if (!before) return '`net.Server#_listen2` is not called by a listen';
  return answer === 'served' ? null : 'a server does not listen on the handle that it is given (`_handle`, `_listen2`)';
}

const read = (client: net.Socket): Promise<string> => new Promise((resolve, reject) => {
  client.once('error', reject).once('data', (data) => { resolve(data.toString()); });
});

async function probeWorker(): Promise<string | null> {
  const isShared = cluster.schedulingPolicy === cluster.SCHED_NONE;
  let asking: string | null = null;
  let asked: string | null = null;
  let answered: string | undefined;
  let made = 0;
  let handle: RawHandle | null = null;
  const restore = seeHandlesMade({
    server: (server) => {
      if (asking !== null) made++;
      server.prependOnceListener('listening', () => { handle = handleOf(server); });
    },
    handle: (make) => {
      if (asking !== null) made++;
      return make();
    },
  });
  cluster.setupPrimary({ exec: import.meta.filename, args: [] });
  const worker = cluster.fork();
  try {
    hearInternal(worker.process, (message) => {
      if (isClusters(message) && message.act === 'queryServer') asked = asking = addressKey(message);
    }, () => { asking = null; });
    seeSent(worker.process, (message) => {
      if (isClusters(message) && message.ack !== undefined && asked !== null) answered = message.key;
    });
    const told = await new Promise<Told>((resolve) => worker.once('message', resolve));
    if (asked !== '127.0.0.1:0:4:undefined:0') return `node:cluster's workers ask for an address in another way: ${asked}`;
    if (made !== 1) return `node:cluster does not make its handles with \`net.${isShared ? '_createServerHandle' : 'createServer'}\``;
    if (isShared) {
      const answer = await read(net.connect(told.port, '127.0.0.1'));
      return answer === 'served' ? null : 'a worker does not accept from the handle it shares';
    }
    if (answered !== asked) return `node:cluster names an address "${answered}", not "${asked}"`;
    if (told.key !== asked || !told.own) return 'in a worker `cluster._getServer` does not give the stand-in of a listening handle';
    return await probeHandingOn(worker.process, handle, told);
  } finally {
    worker.process.kill('SIGKILL');
    restore();
  }
}

async function probeHandingOn(process_: ChildProcess, handle: RawHandle | null, { port, key = '' }: Told): Promise<string | null> {
  if (!handle) return 'node:cluster\'s server has no handle when it listens';
  const accepted = new Promise<boolean | undefined>((resolve) => hearInternal(process_, (message) => {
    if (isClusters(message) && message.ack === -1) resolve(message.accepted);
  }));
  handle.onconnection = (_, client) => {
    if (client) sendHandle(process_, newConnection(key, -1, undefined), client, () => client.close());
  };
  const answer = await read(net.connect(port, '127.0.0.1'));
  if (answer !== 'served') return 'a worker does not serve a connection that it is sent (`act: "newconn"`)';
  return await accepted ? null : 'a worker does not acknowledge a connection that it is sent';
}

import type { ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import type { Runtime } from '../api/runtime.js';
import { descriptorLimit } from '../kit/processes.js';
import { atMost } from '../kit/time.js';
import {
  hearInternal, isClusters, message as hatchery, seeListeners, sendHandle, word, type ClusterMessage, type Handed,
} from '../node/cluster.js';
import { HandlePipe } from '../node/handle-pipe.js';
import { detach, httpConnections, isMovable, type HttpConnection } from '../node/http-connections.js';
import { BACKLOG, connectionsOf, handleOf, type RawHandle } from '../node/raw-sockets.js';

/** A server whose connections the master accepts, and the stand-in for a listening handle that node:cluster made for it. */
interface Listener {
  server: Server;
  handle: RawHandle;
  /** Its slot's socket, with `balance: "reuse-port"`: what comes there, this process accepts. */
  own?: RawHandle | undefined;
}

/** By node:cluster's name for the address. */
const listeners = new Map<string, Listener>();
const notes = new WeakMap<object, unknown>();

/** What the master's plugins have noted of a connection (`prepare` of ConnectionRouting). */
export const noteOf = (handle: object): unknown => notes.get(handle);

/** The worker's side of master/connections/handover.ts. To be called before anything listens. */
export function takeConnections(): void {
  hearInternal(process, (message, handle) => {
    if (message.cmd === hatchery.pipe && handle) openPipe(handle);
    if (isClusters(message) && message.act === 'newconn' && message.note !== undefined && handle) notes.set(handle, message.note);
  });
  seeListeners((key, server, handle) => {
    const listener: Listener = { server, handle };
    listeners.set(key, listener);
    const { close } = handle;
    handle.close = (...args) => {
      letGo(listener);
      close(...args);
    };
    server.once('close', () => { if (listeners.get(key) === listener) listeners.delete(key); });
  });
}

function openPipe(end: RawHandle): void {
  const pipe: HandlePipe = HandlePipe.of(end, (text, client) => take(pipe, text, client), () => {});
  pipe.send(word.open);
}

/** Nearly all connections come with the same words: those of one address, and without a note. */
let last: { text: string; handed: Handed } = { text: '', handed: [''] };

/**
 * As node:cluster does it, in the same order: the answer first, as the application may take long. A process at its limit of
 * descriptors gets the message and not the connection, which is the master's still (test/integration/figures-missing.test.ts).
 */
function take(pipe: HandlePipe, text: string, client: RawHandle | null): void {
  if (!client) return void pipe.send(word.refused);
  const [key, note] = text === last.text ? last.handed : JSON.parse(text) as Handed;
  if (note === undefined && text !== last.text) last = { text, handed: [key] };
  const listener = listeners.get(key);
  const handle = listener && handleOf(listener.server) === listener.handle && !isFull(listener.server, client) ? listener.handle : null;
  pipe.send(handle ? word.taken : word.refused);
  if (!handle) return client.close();
  if (note !== undefined) notes.set(client, note);
  handle.onconnection?.(0, client);
}

const hasRoom = (server: Server): boolean => server.maxConnections == null || connectionsOf(server) < server.maxConnections;

/** Descriptors that are left to the process, and of few a part: at its limit libuv would accept and close who comes. */
const SPARE = 16;
const PART = 1 / 8;

/**
 * Whether one more is too many. The kernel gives the lowest free descriptor: as no connection ever has one of the last, that of what
 * has just come tells how many are left.
 */
function isFull(server: Server, { fd = 0 }: RawHandle): boolean {
  const limit = descriptorLimit(0);
  return !hasRoom(server) || fd >= limit - Math.min(SPARE, limit * PART);
}

/** The master has it too: what waits in its queue is somebody else's. */
function letGo(listener: Listener | undefined): void {
  listener?.own?.close();
  if (listener) listener.own = undefined;
}

/**
 * The worker's side of master/connections/slot-sockets.ts: what comes to the slot's socket is as if the master had handed it over. One
 * that there is no room for goes to the master, who has the others of this socket then. Who drains accepts no more, whatever becomes
 * of its servers.
 */
export function takeSlotSockets({ channel, signal }: Runtime): void {
  const accept = ({ key = '', backlog = BACKLOG }: ClusterMessage, socket: RawHandle): boolean => {
    const listener = listeners.get(key);
    const isReady = listener && !signal.aborted && handleOf(listener.server) === listener.handle;
    // Who has no room would give one connection back each time that it is asked, until the master had none either.
    if (!isReady || isFull(listener.server, socket)) return socket.close(), false;
    letGo(listener);
    listener.own = socket;
    socket.onconnection = (error, client) => {
      if (!client || !isFull(listener.server, client) || !process.connected) return listener.handle.onconnection?.(error, client);
      letGo(listener);
      channel.send('child.slotSocket', { key, accepts: false });
      sendHandle(process, { cmd: hatchery.connectionBack, key }, client, () => client.close());
    };
    socket.unref?.();
    return socket.listen?.(backlog) === 0;
  };
  hearInternal(process, (message, handle) => {
    if (message.cmd !== hatchery.slotSocket || message.key === undefined) return;
    // At the limit of descriptors the message comes without it.
    channel.send('child.slotSocket', { key: message.key, accepts: handle !== undefined && accept(message, handle) });
  });
  channel.on('child.letGo', ({ key }) => letGo(listeners.get(key)));
  signal.addEventListener('abort', () => {
    // Nobody else has them then: the drain takes who waits there.
    if (signal.reason !== 'masterGone') for (const listener of listeners.values()) letGo(listener);
  }, { once: true });
}

/** Milliseconds that giving back may take altogether: the master acknowledges one connection after the other. */
const LIMIT = 500;

/**
 * Gives the idle HTTP/1 connections of this worker back to the master, which passes each on like a new one: the next
 * request on it reaches another worker, and its client notices nothing. What the client has sent meanwhile is still in the
 * kernel, since an idle connection has no byte in this process. One that is being answered follows with the end of its
 * answer, before anything else is read from it. TLS keeps its state in the process, so it cannot be moved.
 */
export async function giveBackIdle(runtime: Runtime, most = Infinity): Promise<number> {
  if (runtime.config.balance === 'os' || !process.connected) return 0;
  const given: Promise<void>[] = [];
  for (const [key, server] of plainServersOfMaster()) {
    for (const connection of (httpConnections(server) ?? []).slice(0, most)) {
      if (isMovable(connection)) given.push(giveBack(connection, key));
      else if (connection.response) onAnswered(connection.response, () => void giveBackAnswered(server, connection, key));
    }
  }
  await atMost(LIMIT, Promise.all(given));
  return given.length;
}

/** Of its connection alone: others may have come since from where these go. */
async function giveBackAnswered(server: Server, { socket }: HttpConnection, key: string): Promise<void> {
  const connection = httpConnections(server)?.find((one) => one.socket === socket);
  if (connection && process.connected && isMovable(connection)) await giveBack(connection, key);
}

/** One that drains has no handle any more, and its connections still. */
function* plainServersOfMaster(): Iterable<[key: string, server: Server]> {
  for (const [key, { server, handle }] of listeners) {
    const below = handleOf(server);
    if ((below === handle || below === null) && !('setSecureContext' in server)) yield [key, server];
  }
}

/** With the address that it came to, and what plugins have noted of it: to the next worker it is the same connection. */
function giveBack(connection: HttpConnection, key: string): Promise<void> {
  const handle = detach(connection);
  return new Promise((resolve) => {
    sendHandle(process, { cmd: hatchery.connectionBack, key, note: notes.get(handle) }, handle, () => {
      handle.close();
      resolve();
    });
  });
}

const awaited = new WeakSet<ServerResponse>();

/** Behind Node's own listener, which leaves the connection to its next request. */
function onAnswered(response: ServerResponse, then: () => void): void {
  if (awaited.has(response)) return;
  awaited.add(response);
  response.once('finish', then);
}

/**
 * The worker's side of a socket that the master holds: its connections become the app server's own, as if they had come to
 * the port, so they are counted and drained like any other. It is let go as soon as closing starts; what waits in the kernel
 * is the next worker's.
 */
export function acceptHeldSockets(runtime: Runtime): void {
  const given = new Map<string, RawHandle>();
  const wanted = new Map<string, () => void>();
  let accepted = 0;

  hearInternal(process, (message, handle) => {
    if (message.cmd !== hatchery.heldSocket || !handle || message.path === undefined) return;
    given.set(message.path, handle);
    wanted.get(message.path)?.();
  });

  runtime.channel.on('child.accept', async ({ path }) => {
    if (!given.has(path)) await new Promise<void>((resolve) => { wanted.set(path, resolve); });
    const handle = given.get(path) as RawHandle;
    if (runtime.signal.aborted) return handle.close();
    handle.onconnection = (error, client) => {
      accepted++;
      const own = firstHandle(runtime.servers);
      if (own) own.onconnection?.(error, client);
      else client?.close();
    };
    handle.listen?.(BACKLOG);
    runtime.signal.addEventListener('abort', () => handle.close(), { once: true });
  });

  runtime.channel.on('child.acceptRest', async ({ path }) => {
    const handle = given.get(path);
    if (!handle) return;
    // A turn of the loop may have looked at the socket before the last one came, and takes one at a time.
    for (let before = -1; before !== accepted;) {
      before = accepted;
      await turn();
      await turn();
    }
    handle.close();
  });
}

/** The listening handle of the app's first server, HTTP before others. */
function firstHandle(servers: ReadonlySet<Server>): RawHandle | null {
  const all = [...servers];
  const server = all.find((one) => 'closeIdleConnections' in one || 'updateSettings' in one) ?? all[0];
  return server ? handleOf(server) : null;
}

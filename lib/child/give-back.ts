import type { ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import { CONNECTION_BACK } from '../node/connection-back.js';
import type { Runtime } from '../api/runtime.js';
import { serversOfMaster } from './take-connections.js';

/** A libuv handle as far as it matters here. */
interface Handle {
  readStop(): number;
  close(): void;
  onread?: unknown;
  getpeername?: unknown;
}
interface HttpSocket extends Socket {
  _handle: Handle | null;
  _httpMessage?: ServerResponse | null;
}
interface Parser {
  socket: HttpSocket | null;
  unconsume?(): void;
}
interface ConnectionsList {
  all(): Parser[];
  idle(): Parser[];
}

/** Milliseconds that giving back may take altogether: the master acknowledges one connection after the other. */
const LIMIT = 500;

/**
 * Gives the idle HTTP/1 connections of this worker back to the master, which passes each on like a new one: the next
 * request on it reaches another worker, and its client notices nothing. What the client has sent meanwhile is still in the
 * kernel, since an idle connection has no byte in this process. One that is being answered follows with the end of its
 * answer, before anything else is read from it. TLS keeps its state in the process, so it cannot be moved.
 */
export async function giveBackIdle(runtime: Runtime): Promise<number> {
  if (runtime.config.balance !== 'round-robin' || !process.connected) return 0;
  const given: Promise<void>[] = [];
  for (const server of serversOfMaster()) {
    const connections = connectionsOf(server);
    if (!connections) continue;
    for (const parser of idleOf(connections)) given.push(give(parser));
    for (const { socket } of connections.all()) if (socket?._httpMessage) onAnswered(socket._httpMessage, () => void giveBackIdle(runtime));
  }
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([Promise.all(given), new Promise((resolve) => { timer = setTimeout(resolve, LIMIT); })]);
  clearTimeout(timer);
  return given.length;
}

function connectionsOf(server: Server): ConnectionsList | undefined {
  const key = Object.getOwnPropertySymbols(server).find(({ description }) => description === 'http.server.connections');
  return key && !('setSecureContext' in server) ? Reflect.get(server, key) as ConnectionsList : undefined;
}

function idleOf(connections: ConnectionsList): Parser[] {
  // One that never sent a byte counts as active for Node, as its time-outs run.
  const silent = connections.all().filter(({ socket }) => socket?.bytesRead === 0);
  return [...new Set([...connections.idle(), ...silent])].filter(({ socket }) => socket && isIdle(socket));
}

const awaited = new WeakSet<ServerResponse>();

/** Behind Node's own listener, which leaves the connection to its next request. */
function onAnswered(response: ServerResponse, then: () => void): void {
  if (awaited.has(response)) return;
  awaited.add(response);
  response.once('finish', then);
}

/** For Node a connection is idle as soon as its request has been read. A unix socket has no peer, and no port to go back to. */
function isIdle({ _handle, _httpMessage, destroyed, writableLength, writableEnded }: HttpSocket): boolean {
  return !_httpMessage && !destroyed && !writableEnded && writableLength === 0 && _handle?.getpeername !== undefined;
}

function give(parser: Parser): Promise<void> {
  const socket = parser.socket as HttpSocket;
  const handle = socket._handle as Handle;
  parser.unconsume?.();
  handle.readStop();
  // What is left of the socket closes without touching the connection.
  socket._handle = null;
  socket.destroy();
  return new Promise((resolve) => {
    const sent = (): void => {
      handle.close();
      resolve();
    };
    (process.send as (message: object, handle: unknown, options: object, done: () => void) => boolean)({ cmd: CONNECTION_BACK }, handle, {}, sent);
  });
}

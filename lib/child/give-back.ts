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
  _httpMessage?: unknown;
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
 * kernel, since an idle connection has no byte in this process. TLS keeps its state in the process, so it cannot be moved.
 */
export async function giveBackIdle(runtime: Runtime): Promise<number> {
  if (runtime.config.balance !== 'round-robin' || !process.connected) return 0;
  const given: Promise<void>[] = [];
  for (const server of serversOfMaster()) {
    for (const parser of idleOf(server)) given.push(give(parser));
  }
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([Promise.all(given), new Promise((resolve) => { timer = setTimeout(resolve, LIMIT); })]);
  clearTimeout(timer);
  return given.length;
}

function idleOf(server: Server): Parser[] {
  const key = Object.getOwnPropertySymbols(server).find(({ description }) => description === 'http.server.connections');
  const list = key && Reflect.get(server, key) as ConnectionsList;
  if (!list || 'setSecureContext' in server) return [];
  // One that never sent a byte counts as active for Node, as its time-outs run.
  const silent = list.all().filter(({ socket }) => socket?.bytesRead === 0);
  return [...new Set([...list.idle(), ...silent])].filter(({ socket }) => socket && isIdle(socket));
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

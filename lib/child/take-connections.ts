import cluster from 'node:cluster';
import type { Server } from 'node:net';
import { HandlePipe, OPEN, PIPE_FOR_CONNECTIONS, REFUSED, TAKEN, natives } from '../node/handle-pipe.js';
import type { RawHandle } from '../node/raw-handle.js';

interface ClusterMessage {
  cmd?: string;
  act?: string;
  ack?: number;
  key?: string;
  note?: unknown;
}
type InternalServer = Server & { _handle: RawHandle | null; _connections: number };
interface Listener {
  server: InternalServer;
  /** The stand-in for a listening handle that node:cluster made. */
  handle: RawHandle;
}
type GetServer = (server: Server, options: object, listening: (error: number, handle?: RawHandle) => void) => void;

/** Servers whose connections the master accepts, by node:cluster's name for the address. */
const listeners = new Map<string, Listener>();
const notes = new WeakMap<object, unknown>();

/** What the master's plugins have noted of a connection (`prepare` of ConnectionRouting). */
export const noteOf = (handle: object): unknown => notes.get(handle);

/** Servers of this process whose connections come from the master; one that drains has no handle any more, and its connections still. */
export function* serversOfMaster(): Iterable<Server> {
  for (const { server, handle } of listeners.values()) if (server._handle === handle || server._handle === null) yield server;
}

/** The worker's side of master/handover.ts. To be called before anything listens. */
export function takeConnections(): void {
  let answered: string | undefined;
  process.prependListener('internalMessage' as 'message', ((message: ClusterMessage, handle?: RawHandle) => {
    if (message.cmd === PIPE_FOR_CONNECTIONS && handle) open(handle);
    if (message.cmd !== 'NODE_CLUSTER') return;
    if (message.ack !== undefined) answered = message.key;
    if (message.act === 'newconn' && message.note !== undefined && handle) notes.set(handle, message.note);
  }) as NodeJS.MessageListener);

  // node:cluster tells the key of an address with its answer, which it hands on at once.
  const internal = cluster as unknown as { _getServer: GetServer };
  const getServer = internal._getServer;
  internal._getServer = (server, options, listening) => getServer(server, options, (error, handle) => {
    // A plain object: an address that the workers share has a handle of the system.
    if (answered !== undefined && handle && Object.getPrototypeOf(handle) === Object.prototype) remember(answered, { server: server as InternalServer, handle });
    listening(error, handle);
  });
}

function remember(key: string, listener: Listener): void {
  listeners.set(key, listener);
  listener.server.once('close', () => { if (listeners.get(key) === listener) listeners.delete(key); });
}

/**
 * What came is no pipe for handles, so its descriptor is opened as one. The first is never closed: the two would close the
 * same descriptor, and both live as long as this process.
 */
function open({ fd }: RawHandle): void {
  const { Pipe, constants } = natives();
  const end = new Pipe(constants.IPC);
  end.open(fd as number);
  const pipe: HandlePipe = new HandlePipe(end, (text, client) => { if (client) take(pipe, text, client); }, () => {});
  pipe.send(OPEN);
}

/** As node:cluster does it, in the same order: the answer first, as the application may take long. */
function take(pipe: HandlePipe, text: string, client: RawHandle): void {
  const [key, note] = JSON.parse(text) as [string, unknown?];
  const listener = listeners.get(key);
  const handle = listener && listener.server._handle === listener.handle && hasRoom(listener.server) ? listener.handle : null;
  pipe.send(handle ? TAKEN : REFUSED);
  if (!handle) return client.close();
  if (note !== undefined) notes.set(client, note);
  handle.onconnection?.(0, client);
}

const hasRoom = ({ maxConnections, _connections }: InternalServer): boolean => maxConnections == null || _connections < maxConnections;

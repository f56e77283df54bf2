import net, { Socket, type Server } from 'node:net';
import { listen } from '../kit/sockets.js';

interface Place {
  address?: string;
  family?: string;
  port?: number;
}

/** A raw libuv handle (TCP or Pipe) as Node keeps it below a server or a socket, and as node:cluster passes it around. */
export interface RawHandle {
  close(callback?: () => void): void;
  reset?(callback?: () => void): number;
  listen?(backlog: number): number;
  readStop?(): number;
  unref?(): void;
  getsockname?(out: Place): number;
  getpeername?(out: Place): number;
  onconnection?: ((error: number, client?: RawHandle) => void) | undefined;
  fd?: number;
}

/** So many connections wait in the kernel on a server of Node's that is told nothing else. */
export const BACKLOG = 511;

type Inside = { _handle: (RawHandle & { reading?: boolean }) | null };

/** What is below a server or a socket; null when it is closed, or has been let go. */
export const handleOf = (above: Server | Socket): RawHandle | null => (above as unknown as Inside)._handle ?? null;

/** Whether this process accepts who comes to a server: what node:cluster has in place of its primary's socket has no descriptor. */
export const accepts = (server: Server): boolean => handleOf(server)?.fd !== undefined;

/** Port of our end; undefined for a unix socket. */
export function ownPort(handle: RawHandle): number | undefined {
  const out: Place = {};
  handle.getsockname?.(out);
  return out.port;
}

/** The client's address; undefined for a unix socket, and for a connection that was reset already. */
export function peerAddress(handle: RawHandle): string | undefined {
  const out: Place = {};
  handle.getpeername?.(out);
  return out.address;
}

/** Connections of a server, as it counts them itself; `getConnections` answers later, and through the master where it is shared. */
export const connectionsOf = (server: Server): number => (server as Server & { _connections: number })._connections;

/** Bytes that have passed either way: what has been written and is still waited for in this process does not count. */
export function transferred(socket: Socket): number {
  const { writeQueueSize = 0 } = handleOf(socket) as { writeQueueSize?: number } | null ?? {};
  return socket.bytesRead + socket.bytesWritten - socket.writableLength - writeQueueSize;
}

/** The socket that a TLS socket reads from. */
export const belowTls = (socket: Socket): Socket | null => (socket as unknown as { _parent?: Socket | null })._parent ?? null;

/**
 * Ends a connection so that nobody takes its end for an orderly one: by a reset, under TLS without a farewell. `resetAndDestroy`
 * would send what is written, and with it the end, first; and it knows no TLS. A unix socket has no reset: it just ends.
 */
export function reset(socket: Socket): void {
  const raw = belowTls(socket) ?? socket;
  if ('reset' in (handleOf(raw) ?? {})) Reflect.set(raw, 'resetAndClosing', true);
  raw.destroy();
  socket.destroy();
}

/** Ends a connection that nobody has read from, as nearly as the kernel would have refused it. */
export function refuse(client: RawHandle): void {
  if (client.reset?.() !== 0) client.close();
}

/** Takes the handle out of a socket, which closes without touching the connection; null when it is closed already. */
export function letGo(socket: Socket): RawHandle | null {
  const inside = socket as unknown as Inside;
  const { _handle: handle } = inside;
  if (handle) {
    handle.readStop?.();
    handle.reading = false;
  }
  inside._handle = null;
  socket.destroy();
  return handle;
}

/**
 * Reads the first bytes off a raw handle and leaves every byte behind them in the kernel, so that the connection can be
 * passed on as it is: it never reads more than is asked for. `first`: bytes; `look` sees all that has come so far and says
 * how many are still missing, null when none is. `done` is called once, when the handle is free again. Returns a function that
 * gives up.
 */
export function readFirst(
  handle: RawHandle, first: number, look: (bytes: Buffer) => number | null, done: (outcome: 'read' | 'ended' | Error) => void,
): (why: Error) => void {
  let bytes = Buffer.alloc(0);
  let missing = first;
  let over = false;
  const end = (outcome: 'read' | 'ended' | Error): false => {
    if (over) return false;
    over = true;
    // After this read is done with: Node stops reading when the callback has returned false.
    process.nextTick(() => {
      letGo(socket);
      done(outcome);
    });
    return false;
  };
  const socket = new Socket({
    handle,
    onread: {
      buffer: () => Buffer.allocUnsafe(missing),
      callback: (count: number, buffer: Buffer) => {
        bytes = Buffer.concat([bytes, buffer.subarray(0, count)]);
        const more = look(bytes);
        if (more === null) return end('read');
        missing = more;
        return true;
      },
    },
  } as unknown as ConstructorParameters<typeof Socket>[0]);
  socket.on('end', () => end('ended'));
  socket.on('error', end);
  return (why) => {
    handle.readStop?.();
    end(why);
  };
}

/**
 * The last words on a connection that was read from and goes nowhere else. Its client is left to go by itself, for `limit` ms at most:
 * bytes of it that nobody reads would make the system reset it, before it has read the answer perhaps. `gone` is called once. Returns
 * what ends it at once.
 */
export function answerLast(handle: RawHandle, text: string, limit: number, gone: () => void): () => void {
  const socket = new Socket({ handle, readable: true, writable: true, allowHalfOpen: true } as ConstructorParameters<typeof Socket>[0]);
  const end = () => { socket.destroy(); };
  const timer = setTimeout(end, limit);
  socket.on('error', () => {}).once('end', end).once('close', () => {
    clearTimeout(timer);
    gone();
  });
  socket.end(text, 'latin1');
  socket.resume();
  return end;
}

/** A connection is taken raw, and what was sent is read off it in two parts; another one is reset. */
export async function probe(): Promise<string | null> {
  return await probeReading() ?? probeReset();
}

async function probeReset(): Promise<string | null> {
  const server = net.createServer((socket) => socket.write('some', () => reset(socket)));
  await listen(server, { port: 0, host: '127.0.0.1' });
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  try {
    const how = await new Promise<string>((resolve) => {
      client.on('error', ({ code }: NodeJS.ErrnoException) => resolve(String(code))).on('end', () => resolve('end')).resume();
    });
    return how === 'ECONNRESET' ? null : `a connection that is cut looks whole to its client (\`resetAndClosing\`): ${how}`;
  } finally {
    client.destroy();
    server.close();
  }
}

/** Milliseconds. */
const WAIT = 1_000;

async function probeReading(): Promise<string | null> {
  const server = net.createServer();
  await listen(server, { port: 0, host: '127.0.0.1' });
  const below = handleOf(server);
  if (!below?.onconnection) return 'a server has no handle with `onconnection`';
  const port = ownPort(below);
  const client = net.connect(port ?? 0, '127.0.0.1');
  try {
    const came = new Promise<RawHandle | undefined>((resolve) => { below.onconnection = (_, one) => resolve(one); });
    client.write('headbody');
    const raw = await came;
    if (!raw) return '`onconnection` is called without the connection';
    if (peerAddress(raw) !== '127.0.0.1') return '`getpeername` of a handle does not tell the address';
    const parts = [await readText(raw, 4), await readText(raw, 4)];
    if (parts.join() !== 'head,body') {
      return `of "headbody" were read "${parts.join('" and "')}": what is not read does not stay in the kernel`;
    }
    client.once('end', () => client.end()).resume();
    let told = '';
    client.on('data', (data) => { told += String(data); });
    const took = performance.now();
    await new Promise<void>((resolve) => { answerLast(raw, 'no', WAIT, resolve); });
    return told === 'no' && performance.now() - took < WAIT ? null : 'who is answered on a raw handle does not go by itself';
  } finally {
    client.destroy();
    server.close();
  }
}

const readText = (handle: RawHandle, length: number): Promise<string> => new Promise((resolve, reject) => {
  let text = '';
  readFirst(handle, length - 1, (bytes) => {
    text = bytes.toString();
    return length - text.length || null;
  }, (outcome) => (outcome === 'read' ? resolve(text) : reject(outcome)));
});

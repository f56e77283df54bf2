import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerResponse, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { listen } from '../kit/sockets.js';
import { handleOf, letGo, reset, type RawHandle } from './raw-sockets.js';
import { slowPath } from './slow-paths.js';

/** What Node keeps for each HTTP/1 connection. */
interface Parser {
  socket: HttpSocket | null;
  incoming: IncomingMessage | null;
  unconsume?(): void;
}
type HttpSocket = Socket & { _httpMessage?: ServerResponse | null; parser?: Parser | null };
interface ConnectionsList {
  all(): Parser[];
  active(): Parser[];
}

/** One HTTP/1 connection, as it is at the moment. */
export interface HttpConnection {
  socket: Socket;
  /** The response that is being written, or waited for. */
  response: ServerResponse | null;
  /** A request is answered or received. */
  busy: boolean;
  /** Of the request that is received not even the head is whole; such a connection is busy, and yet nobody has asked anything. */
  asking: boolean;
}

const NO_LIST = 'Node does not list the HTTP/1 connections of a server: idle ones stay until their own time-out';

/**
 * The HTTP/1 connections of a server out of Node's own list, which it keeps for its time-outs. Counting requests while
 * they pass would cost every request something; this costs nothing until somebody looks. Null: no HTTP/1 server.
 */
export function httpConnections(server: Server): HttpConnection[] | null {
  const list = listOf(server);
  if (!list) {
    if (server.listening && 'closeIdleConnections' in server) slowPath(NO_LIST);
    return null;
  }
  const receiving = new Set(list.active());
  const connections: HttpConnection[] = [];
  for (const parser of list.all()) {
    const { socket } = parser;
    if (!socket || socket.destroyed) continue;
    const response = socket._httpMessage ?? null;
    // A connection that never sent a byte is active or idle depending on Node's version, as its time-outs run
    // (docs/decisions/node-facts.md, 20). For us it is idle.
    const isReceived = socket.bytesRead > 0 && receiving.has(parser);
    connections.push({
      socket, response, busy: response !== null || isReceived, asking: response === null && isReceived && parser.incoming === null,
    });
  }
  return connections;
}

function listOf(server: Server): ConnectionsList | undefined {
  for (const key of Object.getOwnPropertySymbols(server)) {
    if (key.description === 'http.server.connections') return Reflect.get(server, key) as ConnectionsList;
  }
  return undefined;
}

/**
 * Whether another process could go on with a connection: it is idle, all of its answers have left this process, and it is
 * plain TCP. A unix socket has no port that it could be found again by.
 */
export const isMovable = ({ socket, busy }: HttpConnection): boolean =>
  !busy && !socket.writableEnded && socket.writableLength === 0 && handleOf(socket)?.getpeername !== undefined;

/** Takes a movable connection out of this process; what the client has sent meanwhile is still in the kernel. */
export function detach({ socket }: HttpConnection): RawHandle {
  (socket as HttpSocket).parser?.unconsume?.();
  return letGo(socket) as RawHandle;
}

/** No further request of its connection has been parsed behind this one. */
export function isLastOnConnection(response: ServerResponse): boolean {
  const { parser } = response.req.socket as HttpSocket;
  return !parser?.incoming || parser.incoming === response.req;
}

/** What became of a connection of an HTTP/1 server that is none any more: a WebSocket for instance. */
export const isUpgraded = (socket: Socket): boolean => (socket as HttpSocket).parser === null;

/** The head of an answer as it goes out; null while none is written. */
export const headOf = (response: ServerResponse): string | null =>
  (response as ServerResponse & { _header?: string | null })._header ?? null;

/**
 * Ends an answer so that its client sees that it has not got all of it: HTTP/1 by a reset of the connection, HTTP/2 by
 * RST_STREAM with an error. `stream.close(code)` would end it in order first, and so does a session that is destroyed.
 */
export function cutAnswer(answer: ServerResponse | Http2ServerResponse | ServerHttp2Stream): void {
  if ('req' in answer && !('stream' in answer)) return reset(answer.req.socket);
  const stream = 'stream' in answer ? (answer.stream as ServerHttp2Stream | undefined) : answer;
  if (!stream || stream.destroyed) return;
  // An app that does not listen has done nothing wrong.
  stream.on('error', () => {});
  stream.destroy(new Error('cut before it was whole'));
}

/** Bytes of an HTTP/2 stream that have passed either way; 0 where Node does not tell. */
export function streamBytes(stream: ServerHttp2Stream): number {
  const key = Object.getOwnPropertySymbols(stream).find(({ description }) => description === 'kHandle');
  const handle = key && Reflect.get(stream, key) as { bytesRead?: number; bytesWritten?: number } | undefined;
  const { bytesRead = 0, bytesWritten = 0 } = handle ?? {};
  return bytesRead + bytesWritten;
}

/** GOAWAY with the highest number that a stream can have: "no new streams, please" (RFC 9113, 6.8). */
const ANY_STREAM = 2 ** 31 - 1;
const NO_NEW_STREAMS = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

/**
 * Asks the client of a session, which has sent its settings by now, for no new streams. Node's own `goaway` is deaf from then on to
 * those that are on their way, which the client is told at the end (REFUSED_STREAM). So the frame is put between two of the
 * session's where that can be: below TLS Node aborts when two write at once.
 */
export function askForNoMore(session: ServerHttp2Session, socket: Socket | null): void {
  const isPlain = socket && !socket.destroyed && !('encrypted' in socket) && 'writeBuffer' in (handleOf(socket) ?? {});
  if (isPlain) socket.write(NO_NEW_STREAMS);
  else session.goaway(0, ANY_STREAM);
}

export async function probe(): Promise<string | null> {
  return await probeConnections() ?? probeStream();
}

/** An HTTP/2 answer is begun, and cut; another stream is on its way as its client is asked for no more. */
async function probeStream(): Promise<string | null> {
  const { default: http2 } = await import('node:http2');
  const server = http2.createServer();
  await listen(server, { port: 0, host: '127.0.0.1' });
  const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  session.on('error', () => {});
  let socket: Socket | null = null;
  server.prependOnceListener('connection', (came: Socket) => { socket = came; });
  try {
    let late: Promise<string> | undefined;
    const written = new Promise<number>((resolve) => server.once('stream', (stream) => {
      server.on('stream', (other) => {
        other.respond();
        other.end('late');
      });
      stream.respond();
      stream.write('some', () => {
        resolve(streamBytes(stream));
        askForNoMore(stream.session as ServerHttp2Session, socket);
        late = new Promise((answered) => {
          session.request().on('data', (data) => answered(String(data))).on('error', (error) => answered(error.message));
        });
        cutAnswer(stream);
      });
    }));
    const how = new Promise<string>((resolve) => {
      session.request().on('error', () => resolve('error')).on('end', () => resolve('end')).resume();
    });
    if (await written < 4) return 'an HTTP/2 stream does not tell its bytes (`kHandle`)';
    if (await how !== 'error') return 'an HTTP/2 answer that is cut looks whole to its client';
    return await late === 'late' ? null : 'an HTTP/2 stream that was on its way as its client was asked for no more is not served';
  } finally {
    session.destroy();
    server.close();
  }
}

/** Four connections: silent, answered, being answered, and with half a head; the answered one is detached and read from anew. */
async function probeConnections(): Promise<string | null> {
  // Not above: a master that never serves does not load it.
  const { default: http } = await import('node:http');
  let busy: ServerResponse | undefined;
  const server = http.createServer((request, response) => {
    if (request.url === '/slow') busy = response.writeHead(200, { 'X-Probe': 'yes' });
    else response.end('answer');
  });
  await listen(server, { port: 0, host: '127.0.0.1' });
  const { port } = server.address() as AddressInfo;
  const clients: Socket[] = [];
  const connect = async (path?: string): Promise<Socket> => {
    const client = net.connect(port, '127.0.0.1');
    clients.push(client);
    const came = new Promise((resolve) => server.once('connection', resolve));
    await came;
    if (path === undefined) return client;
    const read = new Promise((resolve) => (path === '/slow' ? server.once('request', resolve) : client.once('data', resolve)));
    client.write(`GET ${path} HTTP/1.1\r\nHost: probe\r\n\r\n`);
    await read;
    return client;
  };
  try {
    await connect();
    const idle = await connect('/');
    await connect('/slow');
    const asking = await connect();
    await new Promise((resolve) => { asking.write('GET / HT', resolve); });
    const until = performance.now() + 500;
    while (performance.now() < until && !httpConnections(server)?.some((one) => one.asking)) await new Promise(setImmediate);
    return await judge(httpConnections(server), busy, idle);
  } finally {
    for (const client of clients) client.destroy();
    server.close();
    server.closeAllConnections();
  }
}

async function judge(connections: HttpConnection[] | null, busy: ServerResponse | undefined, idle: Socket): Promise<string | null> {
  if (!connections) return 'a server has no list of its HTTP/1 connections (`Symbol(http.server.connections)`)';
  if (connections.length !== 4) return `of four HTTP/1 connections the list has ${connections.length}`;
  const [answered] = connections.filter(({ response }) => response !== null);
  if (!busy || answered?.response !== busy) return 'the connection that is being answered does not tell its response (`_httpMessage`)';
  if (!/x-probe: yes/i.test(headOf(busy) ?? '')) return 'a response does not tell the head it has written (`_header`)';
  if (!isLastOnConnection(busy)) return 'the only request of a connection is not the last one (`parser.incoming`)';
  if (connections.filter((one) => one.asking).length !== 1) return 'half a request head cannot be told from a request (`parser.incoming`)';
  if (connections.filter((one) => one.busy).length !== 2) return 'an idle, or a silent HTTP/1 connection counts as busy';
  const kept = connections.find(({ socket }) => socket.remotePort === idle.localPort);
  if (!kept || !isMovable(kept)) return 'an idle HTTP/1 connection cannot be moved';
  const moved = new net.Socket({ handle: detach(kept), readable: true, writable: true } as object);
  const read = new Promise<string | null>((resolve) => {
    moved.once('data', (data) => resolve(data.toString() === 'next' ? null : 'a detached HTTP/1 connection has lost bytes'));
    moved.once('close', () => resolve('a detached HTTP/1 connection is closed with its socket'));
  });
  idle.write('next');
  return read.finally(() => moved.destroy());
}

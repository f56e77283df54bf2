import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';

/** What Node keeps for each HTTP/1 connection. */
interface Parser {
  socket: (Socket & { _httpMessage?: ServerResponse | null }) | null;
  incoming: IncomingMessage | null;
}
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
}

/**
 * The HTTP/1 connections of a server out of Node's own list, which it keeps for its time-outs. Counting requests while
 * they pass would cost every request something; this costs nothing until a drain looks. Null: no HTTP/1 server.
 */
export function httpConnections(server: Server): HttpConnection[] | null {
  const list = listOf(server);
  if (!list) return null;
  const receiving = new Set(list.active());
  const connections: HttpConnection[] = [];
  for (const parser of list.all()) {
    const { socket } = parser;
    if (!socket || socket.destroyed) continue;
    const response = socket._httpMessage ?? null;
    // A connection that never sent a byte counts as active for Node, as its time-outs run.
    connections.push({ socket, response, busy: response !== null || (socket.bytesRead > 0 && receiving.has(parser)) });
  }
  return connections;
}

/** No further request of its connection has been parsed behind this one. */
export function isLastOnConnection(response: ServerResponse): boolean {
  const { parser } = response.req.socket as Socket & { parser?: Parser | null };
  return !parser?.incoming || parser.incoming === response.req;
}

function listOf(server: Server): ConnectionsList | undefined {
  for (const key of Object.getOwnPropertySymbols(server)) {
    if (key.description === 'http.server.connections') return Reflect.get(server, key) as ConnectionsList;
  }
  return undefined;
}

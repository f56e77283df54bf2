import net, { type Server, type Socket } from 'node:net';
import {
  belowTls, connectionsOf, httpConnections, openSockets, type HttpConnection, type RequestInFlight,
} from '../../lib/runtime.js';
import { announceClose, announceCloseFromNowOn } from './connection-close.js';
import { endQuietly, isEventStream } from './event-stream.js';
import { Http2Sessions } from './http2-sessions.js';
import { requestInFlight } from './in-flight.js';
import type { Progress, Rules } from './rules.js';
import { Stillness, type Stage } from './stillness.js';

/** Milliseconds that an ended upgraded connection gets to say goodbye. */
const GOODBYE = 1_000;
/** Node closes an idle connection this long after the time-out it announced, where it does not tell (Node 20). */
const KEEP_ALIVE_BUFFER = 1_000;
/** Our own clock of idle connections is the second one; Node's own time-out comes first. */
const MARGIN = 250;
/** Who sends a head or a handshake byte by byte has this long for all of it, where an idle connection has less. */
const DRIBBLE = 5_000;

/** One server of the app: what of it is still open, and how to end it without losing a request. */
export class ServerDrain {
  readonly closed: Promise<void>;
  readonly #server: Server;
  readonly #secure: Set<Socket> | null;
  readonly #http2: Http2Sessions | null;
  readonly #stillness = new Stillness();
  readonly #endedAt = new WeakMap<Socket, number>();
  #isClosed = false;
  #begun = false;
  #resolve!: () => void;

  constructor(server: Server) {
    this.#server = server;
    this.closed = new Promise((resolve) => { this.#resolve = resolve; });
    this.#http2 = 'updateSettings' in server ? new Http2Sessions(server) : null;
    this.#secure = 'setSecureContext' in server ? secureSockets(server) : null;
  }

  /** Stops accepting, and tells clients in every answer from now on. Idempotent. */
  begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    const closed = () => {
      this.#isClosed = true;
      this.#resolve();
    };
    if (!this.#server.listening && !connectionsOf(this.#server)) return closed();
    announceCloseFromNowOn(this.#server);
    for (const { response } of httpConnections(this.#server) ?? []) if (response) announceClose(response);
    this.#http2?.begin();
    // Not http's own close(), which cuts idle connections at once (nodejs/node#51677).
    Reflect.apply(net.Server.prototype.close, this.#server, [closed]);
    closeGently(this.#server, this.closed);
  }

  /** Nothing is open any more: neither for the server nor in Node's list, as it does not count connections handed to it by `emit`. */
  get done(): boolean {
    return this.#isClosed && !(httpConnections(this.#server)?.length);
  }

  look(rules: Rules): Progress {
    if (this.done) return { requests: 0, sockets: 0 };
    const http = httpConnections(this.#server);
    let requests = this.#http2?.look(rules) ?? 0;
    for (const connection of http ?? []) if (this.#lookAt(connection, rules)) requests++;
    const others = this.#others(http ?? []);
    for (const socket of others) this.#lookAtOther(socket, http !== null, rules);
    return { requests, sockets: (http?.length ?? 0) + (this.#http2?.size ?? 0) + others.length };
  }

  /** Requests whose heads have come, and that are not answered. */
  inFlight(now: number): RequestInFlight[] {
    const answered = (httpConnections(this.#server) ?? []).flatMap(({ response }) => response ?? []);
    return [...answered.map(({ req }) => requestInFlight(req, now)), ...this.#http2?.inFlight(now) ?? []];
  }

  #lookAt({ socket, response, busy, asking }: HttpConnection, rules: Rules): boolean {
    if (rules.cut) {
      socket.destroy();
      return busy && !asking;
    }
    if (!busy || asking) {
      this.#closeIdle(socket, asking ? 'asking' : 'idle', rules);
      return false;
    }
    this.#stillness.forget(socket);
    if (response) {
      announceClose(response);
      if (rules.endStreams && isEventStream(response)) endQuietly(response);
    }
    return true;
  }

  #closeIdle(socket: Socket, stage: Stage, rules: Rules): void {
    const limit = rules.idleTimeout ?? this.#announced(rules);
    const { still, lasts } = this.#stillness.of(socket, stage, rules.now);
    const dribbles = stage !== 'idle' && lasts >= Math.max(limit, DRIBBLE);
    if (rules.closeIdle || still >= limit || dribbles) socket.destroy();
  }

  #announced(rules: Rules): number {
    type Timed = Server & { keepAliveTimeout?: number; keepAliveTimeoutBuffer?: number };
    const { keepAliveTimeout, keepAliveTimeoutBuffer = KEEP_ALIVE_BUFFER } = this.#server as Timed;
    return keepAliveTimeout ? keepAliveTimeout + keepAliveTimeoutBuffer + MARGIN : rules.idleFallback;
  }

  #lookAtOther(socket: Socket, upgraded: boolean, rules: Rules): void {
    if (rules.cut) {
      socket.destroy();
      return;
    }
    if (this.#secure && !this.#secure.has(socket)) {
      // A TLS handshake that does not come to its end.
      this.#closeIdle(socket, 'shaking hands', rules);
    } else if (upgraded ? rules.endUpgraded : this.#stillness.of(socket, 'open', rules.now).still >= rules.tcpTimeout) {
      this.#end(socket, rules);
    }
  }

  #end(socket: Socket, { now }: Rules): void {
    const ended = this.#endedAt.get(socket);
    if (ended === undefined) {
      this.#endedAt.set(socket, now);
      socket.end();
    } else if (now - ended >= GOODBYE) {
      socket.destroy();
    }
  }

  /**
   * Connections that are neither HTTP/1 nor HTTP/2: upgraded ones, those of a plain TCP server, unfinished handshakes. The
   * process knows its open sockets and their servers by itself, so none is counted while it comes and goes.
   */
  #others(http: HttpConnection[]): Socket[] {
    const known = new Set<unknown>();
    for (const { socket } of http) known.add(socket).add(belowTls(socket));
    const others: Socket[] = [];
    for (const socket of this.#secure ?? []) {
      const seen = known.has(socket);
      known.add(belowTls(socket));
      if (!seen && Reflect.get(socket, 'alpnProtocol') !== 'h2') others.push(socket);
    }
    // Every connection of an HTTP/2 server without TLS is a session.
    if (this.#http2 && !this.#secure) return others;
    return [...others, ...openSockets(this.#server).filter((socket) => !known.has(socket))];
  }
}

function secureSockets(server: Server): Set<Socket> {
  const sockets = new Set<Socket>();
  server.on('secureConnection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return sockets;
}

/** The app's own `close()` joins the drain: it cuts nothing, its callback comes when all is closed and without an error. */
function closeGently(server: Server, closed: Promise<void>): void {
  const gentle = {
    close(callback?: () => void): Server {
      if (callback) void closed.then(callback);
      return server;
    },
    closeIdleConnections(): void {},
  };
  Object.assign(server, gentle);
}

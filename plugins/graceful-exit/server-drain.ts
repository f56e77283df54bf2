import net, { type Server, type Socket } from 'node:net';
import {
  accepts, belowTls, connectionsOf, httpConnections, openSockets, reset, transferred, type HttpConnection,
} from '../../lib/runtime.js';
import { announceClose } from './connection-close.js';
import { isFinal, type Reason } from './drain.js';
import { sessionOf } from './engine-poll.js';
import { exchangeOf, kindOf, type Exchange, type Kind } from './exchange.js';
import { Http2Sessions } from './http2-sessions.js';
import { described } from './in-flight.js';
import { takeLast } from './last-arrivals.js';
import { Moves } from './moves.js';
import { NO_PROGRESS, type Progress, type Rules } from './rules.js';
import { Stillness, type Stage } from './stillness.js';
import type { WebSockets } from './web-sockets.js';

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
  /** What comes is not answered before; null where it is at once. */
  held: Promise<void> | null = null;
  readonly #server: Server;
  readonly #secure: Set<Socket> | null;
  readonly #http2: Http2Sessions | null;
  readonly #stillness = new Stillness();
  readonly #moves = new Moves();
  readonly #endedAt = new WeakMap<Socket, number>();
  readonly #held = new WeakSet<Socket>();
  readonly #webSockets: WebSockets;
  /** A part's, through which other workers reach the app's: who made it closes it, and knows what is on its way to it. */
  readonly #inner: boolean;
  #isClosed = false;
  #begun = false;
  #hurries = false;
  #resolve!: () => void;

  constructor(server: Server, webSockets: WebSockets, inner = false) {
    this.#server = server;
    this.#webSockets = webSockets;
    this.#inner = inner;
    this.closed = inner ? Promise.resolve() : new Promise((resolve) => { this.#resolve = resolve; });
    this.#http2 = 'updateSettings' in server ? new Http2Sessions(server, webSockets) : null;
    this.#secure = 'setSecureContext' in server ? secureSockets(server) : null;
  }

  /** Stops accepting, and tells clients in the answers under way; in later ones a tap does. Idempotent. */
  begin(reason: Reason): void {
    if (this.#begun || this.#inner) return;
    this.#begun = true;
    const closed = () => {
      this.#isClosed = true;
      this.#resolve();
    };
    if (!this.#server.listening && !connectionsOf(this.#server)) return closed();
    // Not http's own close(), which cuts idle connections at once (nodejs/node#51677).
    const close = () => Reflect.apply(net.Server.prototype.close, this.#server, [closed]);
    const taken = this.#isLast(reason) ? takeLast(this.#server, () => this.#hurries, close) : null;
    // Until then nobody is answered, as who has an answer is back at once.
    this.held = taken;
    for (const { response } of httpConnections(this.#server) ?? []) if (response) announceClose(response);
    this.#http2?.begin();
    if (!taken) close();
    closeGently(this.#server, this.closed);
  }

  /** Nobody else takes who waits in the kernel. Without its master a worker has the socket of its slot, where there are such. */
  #isLast(reason: Reason): boolean {
    return this.#server.listening && isFinal(reason) && (accepts(this.#server) || reason === 'masterGone');
  }

  /** Nothing is open any more: neither for the server nor in Node's list, as it does not count connections handed to it by `emit`. */
  get done(): boolean {
    return this.#isClosed && (this.#inner || !(httpConnections(this.#server)?.length));
  }

  look(rules: Rules): Progress {
    if (this.done && !this.#inner) return NO_PROGRESS();
    const { now } = rules;
    this.#hurries = rules.closeIdle;
    this.#http2?.look(rules);
    const http = httpConnections(this.#server);
    const progress = NO_PROGRESS();
    const exchanges = this.#http2?.exchanges(this.#stillness, now) ?? [];
    for (const connection of http ?? []) this.#lookAt(connection, rules, exchanges, progress);
    this.#judge(exchanges, rules, progress);
    const others = this.#others(http ?? []);
    for (const socket of others) this.#lookAtOther(socket, http !== null, rules);
    progress.sockets = (this.#inner ? 0 : http?.length ?? 0) + (this.#http2?.size ?? 0) + others.length;
    if (this.#inner) this.#isClosed = progress.requests + progress.streams + others.length === 0;
    progress.others += (this.#http2?.quiet(rules) ?? 0) + others.filter((socket) => !this.#endedAt.has(socket)).length;
    return progress;
  }

  #lookAt({ socket, response, busy, asking }: HttpConnection, rules: Rules, exchanges: Exchange[], progress: Progress): void {
    if (!busy || asking) {
      if (this.#inner) return;
      progress.others++;
      if (rules.cut) socket.destroy();
      else this.#closeIdle(socket, asking ? 'asking' : 'idle', rules);
    } else if (response) {
      if (!this.#inner) announceClose(response);
      exchanges.push(exchangeOf(response, this.#stillness, rules.now));
    } else {
      // On its way to the app, or answered before its body was there.
      progress.requests++;
      if (rules.cut && this.#isHeld(socket)) reset(socket);
    }
  }

  #judge(exchanges: Exchange[], rules: Rules, progress: Progress): void {
    const by: Record<Kind, Exchange[]> = { request: [], stream: [], subscription: [] };
    for (const one of exchanges) by[rules.moveAll ? 'subscription' : kindOf(one, rules.subscriptionAge)].push(one);
    // What a client says while it polls would be cut.
    const sending = new Set<string | null>(exchanges.map(({ method, url }) => (method === 'POST' ? sessionOf(url) : null)));
    sending.delete(null);
    const due = new Set(this.#moves.due(by.subscription, rules.now, rules.cutStreams ? 0 : rules.moveWithin));
    const end = (kind: Kind, isOver: (one: Exchange) => boolean): number => {
      const going = by[kind].filter((one) => isOver(one) && (one.poll !== null || !one.socket || this.#isHeld(one.socket)));
      const staying = by[kind].filter((one) => !going.includes(one));
      for (const one of going) {
        progress[kind !== 'subscription' ? 'cut' : one.poll !== null ? 'polls' : one.subscribes ? 'moved' : 'cut'].push(described(one));
        one.cut();
      }
      progress.inFlight.push(...staying.map(described));
      return staying.length;
    };
    const isSilent = ({ still }: Exchange) => still >= rules.silence;
    progress.requests += end('request', (one) => rules.cut || isSilent(one));
    progress.streams += end('stream', (one) => rules.cutStreams || isSilent(one)) 
      + end('subscription', (one) => due.has(one) && (rules.cutStreams || !sending.has(one.poll)));
  }

  /**
   * Nothing more is sent, from the look before the cut: a client that finds bytes and the reset in one turn of its loop is told of
   * an orderly end (libuv, so Node's clients, among others).
   */
  #isHeld(socket: Socket): boolean {
    if (this.#held.has(socket)) return true;
    this.#held.add(socket);
    socket.cork();
    return false;
  }

  #closeIdle(socket: Socket, stage: Stage, rules: Rules): void {
    const limit = rules.idleTimeout ?? this.#announced(rules);
    const { still, lasts } = this.#stillness.of(socket, transferred(socket), stage, rules.now);
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
      if (this.#isHeld(socket)) reset(socket);
      return;
    }
    if (this.#secure && !this.#secure.has(socket)) {
      // A TLS handshake that does not come to its end.
      this.#closeIdle(socket, 'shaking hands', rules);
    } else if (upgraded ? rules.endUpgraded : this.#isQuiet(socket, rules)) {
      this.#end(socket, rules);
    }
  }

  #isQuiet(socket: Socket, { now, tcpTimeout }: Rules): boolean {
    return this.#stillness.of(socket, transferred(socket), 'open', now).still >= tcpTimeout;
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
    const isOther = (socket: Socket) => !known.has(socket) && !this.#webSockets.has(socket);
    for (const { socket } of http) known.add(socket).add(belowTls(socket));
    const others: Socket[] = [];
    for (const socket of this.#secure ?? []) {
      const other = isOther(socket);
      known.add(belowTls(socket));
      if (other && Reflect.get(socket, 'alpnProtocol') !== 'h2') others.push(socket);
    }
    // Every connection of an HTTP/2 server without TLS is a session.
    if (this.#http2 && !this.#secure) return others;
    return [...others, ...openSockets(this.#server).filter(isOther)];
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

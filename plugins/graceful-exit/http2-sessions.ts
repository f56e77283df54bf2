import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Server, Socket } from 'node:net';
import { askForNoMore, cutAnswer, reset } from '../../lib/runtime.js';
import { http2ExchangeOf, type Exchange, type Head } from './exchange.js';
import type { Rules } from './rules.js';
import { drop } from './web-socket.js';
import type { WebSockets } from './web-sockets.js';
import type { Stillness } from './stillness.js';

/** Milliseconds, at least, between "no new streams, please" and the last word on which streams were taken: a client's way to us. */
const NOTICE = 500;
/** How long a client may take to answer a ping before it is told all the same, ms. */
const PATIENCE = 5_000;

interface Tracked {
  streams: Map<ServerHttp2Stream, Head>;
  /** Streams that carry another protocol (WebSocket over HTTP/2, CONNECT). */
  tunnels: Set<ServerHttp2Stream>;
  /** performance.now() of the ping before the first GOAWAY, and of that; null: not yet. */
  asked: number | null;
  noticed: number | null;
  /** Its client has read the first GOAWAY, and what it has sent before is here. */
  heard: boolean;
  /** performance.now() of the first look that found no stream; null while there are some. */
  quietSince: number | null;
  /** Below it. A session that is closed ends it, and then waits for the other end, which may be gone. */
  socket: Socket | null;
}

/** The HTTP/2 sessions of a server and their streams. */
export class Http2Sessions {
  readonly #sessions = new Map<ServerHttp2Session, Tracked>();
  readonly #webSockets: WebSockets;
  #begun = false;

  constructor(server: Server, webSockets: WebSockets) {
    this.#webSockets = webSockets;
    let arriving: Socket | null = null;
    // Before Node's own listener, which makes a session of it in the same turn.
    server.prependListener('setSecureContext' in server ? 'secureConnection' : 'connection', (socket: Socket) => { arriving = socket; });
    server.on('session', (session: ServerHttp2Session) => {
      const tracked: Tracked = {
        streams: new Map(), tunnels: new Set(), asked: null, noticed: null, heard: false, quietSince: null, socket: arriving,
      };
      arriving = null;
      this.#sessions.set(session, tracked);
      session.once('close', () => this.#sessions.delete(session));
      session.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
        if (headers[':method'] === 'CONNECT') tracked.tunnels.add(stream);
        if (headers[':protocol'] === 'websocket') webSockets.add(stream, String(headers[':path']), true);
        if (headers[':method'] !== 'CONNECT') tracked.streams.set(stream, { headers, since: performance.now() });
        stream.once('close', () => {
          tracked.tunnels.delete(stream);
          tracked.streams.delete(stream);
        });
      });
      if (this.#begun) ask(session, tracked);
    });
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Sessions on which nothing is under way; tunnels that are being ended do not count. */
  quiet({ endUpgraded }: Rules): number {
    const isEnded = (stream: ServerHttp2Stream) => endUpgraded && !this.#webSockets.has(stream);
    return [...this.#sessions.values()].filter(({ streams, tunnels }) => streams.size === 0 && [...tunnels].every(isEnded)).length;
  }

  /**
   * A ping, whose answer comes behind what a client that is busy, or has only just connected, was about to say. Then GOAWAY in two
   * steps: the first names no stream, so what the client sent before it read this is still served; the second comes with
   * `session.close()` and would refuse those streams (RFC 9113, 6.8), so it waits for the answer to another ping, or as long as
   * the first one took (test/integration/drain-busy-client.test.ts).
   */
  begin(): void {
    this.#begun = true;
    for (const [session, tracked] of this.#sessions) ask(session, tracked);
  }

  exchanges(stillness: Stillness, now: number): Exchange[] {
    return [...this.#sessions.values()].flatMap(({ streams }) => [...streams].map((one) => http2ExchangeOf(...one, stillness, now)));
  }

  /** Ends what carries no stream any more, and what does not end by itself. */
  look(rules: Rules): void {
    for (const [session, tracked] of this.#sessions) {
      const { streams, tunnels, asked, socket } = tracked;
      const carries = streams.size > 0 || [...tunnels].some((stream) => this.#webSockets.has(stream));
      if ((rules.cut && !carries) || this.#isIgnored(tracked, rules)) {
        for (const stream of tunnels) cutAnswer(stream);
        session.destroy();
        // Streams were cut a look ago, and who has not read it by now is to see that something is missing.
        if (socket) reset(socket);
        continue;
      }
      if (rules.endUpgraded) for (const stream of tunnels) if (!this.#webSockets.has(stream)) endQuietly(stream);
      if (rules.closeIdle || isTold(tracked, rules.now)) session.close();
      else if (asked !== null && rules.now - asked >= PATIENCE) notice(session, tracked);
    }
  }

  /** GOAWAY was not heeded, nor has the client anything to wait for: it is gone, or does not read. */
  #isIgnored(tracked: Tracked, { now, goawayTimeout }: Rules): boolean {
    const isQuiet = tracked.streams.size + tracked.tunnels.size === 0;
    tracked.quietSince = isQuiet ? tracked.quietSince ?? now : null;
    return tracked.quietSince !== null && now - tracked.quietSince >= Math.max(goawayTimeout, 2 * NOTICE);
  }
}

/** Whether the client has heard that there is to be no new stream, as far as that can be known: some answer no ping after it. */
const isTold = ({ asked, noticed, heard }: Tracked, now: number): boolean =>
  heard || (asked !== null && noticed !== null && now - noticed >= Math.max(NOTICE, 2 * (noticed - asked)));

function ask(session: ServerHttp2Session, tracked: Tracked): void {
  if (tracked.asked !== null || session.destroyed || session.closed) return;
  tracked.asked = performance.now();
  session.ping((error) => { if (!error) notice(session, tracked); });
}

function notice(session: ServerHttp2Session, tracked: Tracked): void {
  if (tracked.noticed !== null || session.destroyed || session.closed) return;
  tracked.noticed = performance.now();
  askForNoMore(session, tracked.socket);
  session.ping((error) => { tracked.heard = !error; });
}

/** Ends a tunnel whose writer does not know: what it writes from now on is dropped, and is no error. */
function endQuietly(stream: ServerHttp2Stream): void {
  if (stream.writableEnded) return;
  stream.end();
  stream.write = (...args: unknown[]) => drop(args);
  stream.end = ((...args: unknown[]) => {
    drop(args);
    return stream;
  }) as typeof stream.end;
}

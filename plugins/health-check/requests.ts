import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage } from 'node:http';
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Server } from 'node:net';
import { httpConnections, type Runtime } from '../../lib/runtime.js';
import type { ActiveRequest } from './messages.js';

/** graceful-exit's drain reads it too, out of a bundle of its own (plugins/graceful-exit/in-flight.ts). */
const STARTED = Symbol.for('hatchery.started');
type Stamped = { [STARTED]?: number };

/** The master asks for this one through the inspector, when nothing else of the process answers any more. */
export const ACTIVE_REQUESTS = 'hatchery.activeRequests';

/** Requests that are told at once, and characters of their paths. */
const MOST = 200;
const LINE = 2_000;

/** Where one comes within so many ms of the other, so many have one reading of the clock between them, which holds for so many ms. */
const CLOSE = 2;
const SHARERS = 8;
const HOLDS = 20;

/**
 * Counts requests, and knows those under way: who that is is read out of Node's own list of connections when somebody asks. What a request
 * costs here is the clock, 1 to 3 % of a short answer (docs/decisions/requests.md), so that those of a busy process share it.
 */
export class Requests {
  /** Since the process began. */
  total = 0;
  readonly #servers: ReadonlySet<Server>;
  readonly #streams = new Map<ServerHttp2Stream, { method: string; path: string; since: number }>();
  readonly #onStart: (now: number) => void;
  /** performance.now() of the last reading, whole: a number of that kind is kept without memory of its own. */
  #now = 0;
  /** How many may have it. */
  #left = 0;
  #held: NodeJS.Timeout | undefined;

  /** `onStart` is called with performance.now() at the start of a request, of many of them at each {@link SHARERS}th. */
  constructor({ hooks, servers }: Pick<Runtime, 'hooks' | 'servers'>, onStart: (now: number) => void) {
    this.#servers = servers;
    this.#onStart = onStart;
    const count = (): number => {
      this.total++;
      if (this.#left > 0) this.#left--;
      else this.#look();
      return this.#now;
    };
    let subscribed = false;
    hooks.server.tap('health-check', (server) => {
      if ('updateSettings' in server) this.#countStreams(server, count);
      if (subscribed) return;
      subscribed = true;
      subscribe('http.server.request.start', (message) => {
        (message as { request: IncomingMessage & Stamped }).request[STARTED] = count();
      });
    });
    Object.defineProperty(globalThis, Symbol.for(ACTIVE_REQUESTS), { value: () => this.active(), configurable: true });
  }

  #look(): void {
    const now = performance.now();
    if (now - this.#now < CLOSE) {
      this.#left = SHARERS - 1;
      this.#held ??= setTimeout(() => {
        this.#held = undefined;
        this.#left = 0;
      }, HOLDS).unref();
    }
    this.#now = Math.floor(now);
    this.#onStart(now);
  }

  /** Oldest first, and not all where there are many. */
  active(): ActiveRequest[] {
    const now = performance.now();
    const found: ActiveRequest[] = [];
    for (const server of this.#servers) {
      for (const { response, busy } of httpConnections(server) ?? []) {
        if (!busy || !response) continue;
        const { method = '', url = '', [STARTED]: since } = response.req as IncomingMessage & Stamped;
        found.push({ method, path: url, age: since === undefined ? null : Math.round(now - since) });
      }
    }
    for (const { method, path, since } of this.#streams.values()) found.push({ method, path, age: Math.round(now - since) });
    return found.sort((a, b) => (b.age ?? 0) - (a.age ?? 0)).slice(0, MOST)
      .map(({ method, path, age }) => ({ method: method.slice(0, LINE), path: path.slice(0, LINE), age }));
  }

  /** Node's channel for the start of a request knows HTTP/1 only. */
  #countStreams(server: Server, count: () => number): void {
    server.on('session', (session: ServerHttp2Session) => {
      session.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
        this.#streams.set(stream, { method: String(headers[':method']), path: String(headers[':path']), since: count() });
        stream.once('close', () => this.#streams.delete(stream));
      });
    });
  }
}

/** Open connections of all servers. */
export async function countConnections(servers: ReadonlySet<Server>): Promise<number> {
  const counts = await Promise.all([...servers].map((server) => new Promise<number>((resolve) => {
    server.getConnections((error, count) => resolve(error ? 0 : count));
  }).catch(() => 0)));
  return counts.reduce((sum, count) => sum + count, 0);
}

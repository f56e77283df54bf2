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

/**
 * Counts requests, and knows those under way. A request costs one clock reading and one addition, within the noise of
 * test/soak/health.ts; who is under way is read out of Node's own list of connections when somebody asks.
 */
export class Requests {
  /** Since the process began. */
  total = 0;
  readonly #servers: ReadonlySet<Server>;
  readonly #streams = new Map<ServerHttp2Stream, { method: string; path: string; since: number }>();

  /** `onStart` is called at the start of each request with performance.now(). */
  constructor({ hooks, servers }: Runtime, onStart: (now: number) => void) {
    this.#servers = servers;
    const count = (): number => {
      this.total++;
      const now = performance.now();
      onStart(now);
      return now;
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

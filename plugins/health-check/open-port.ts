import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { isIP, type AddressInfo, type Socket } from 'node:net';
import { ClusterError, descriptorLimit, listen, type Master, type RouteAnswer } from '../../lib/index.js';

/** A probe needs no longer for its request, ms. */
const PATIENCE = 10_000;
/** Between two looks at who has taken longer, ms. Node's own 30 s would let half a request stay for 40. */
const LOOK = 1_000;
const MAX_CONNECTIONS = 256;

export interface OpenPort {
  /** `http://127.0.0.1:9000` */
  url: string;
  close(): void;
}

export interface OpenPortOptions {
  port: number;
  host: string;
  /** Names that a Host header may have beside addresses; undefined: on a loopback address `localhost`, else any. */
  hosts: readonly string[] | undefined;
  /** Limits the routes to some paths. */
  serves?(path: string): boolean;
}

/**
 * Serves the master's open routes on a port of its own, so that a blocked worker cannot hide.
 * Rejects with ERR_CLUSTER_START when the port cannot be had.
 */
export async function openPort(master: Master, owner: string, options: OpenPortOptions): Promise<OpenPort> {
  const { port, host } = options;
  const timeouts = { requestTimeout: PATIENCE, headersTimeout: PATIENCE, keepAliveTimeout: 5_000, connectionsCheckingInterval: LOOK };
  const places = new Places();
  const server = process.getBuiltinModule('node:http').createServer(timeouts, (request, response) => {
    places.answering(request.socket, response);
    const reply = answer(master, owner, options, request);
    void reply.then((content) => send(response, request.method === 'HEAD', content)).catch((error: unknown) => {
      // What a plugin's route gives may be no answer at all.
      master.logger.error(`the answer to ${request.method} ${request.url} cannot be sent`, { error });
      if (response.headersSent) response.destroy();
      else send(response, request.method === 'HEAD', { status: 500, body: { error: 'no answer that can be sent' } });
    });
  });
  server.on('connection', master.guard('health port', (socket: Socket) => places.take(socket)));
  await open(server, owner, port, host);
  server.on('error', (error) => master.logger.error(error));
  server.unref();
  const at = (server.address() as AddressInfo).port;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${at}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Who is connected, oldest first. When all places are taken, the oldest that is not being answered goes: half a request is no claim. */
class Places {
  readonly #waiting = new Set<Socket>();
  #count = 0;

  take(socket: Socket): void {
    // A master whose descriptors probes had taken could fork nobody.
    if (this.#count >= Math.min(MAX_CONNECTIONS, descriptorLimit(this.#count) / 8)) {
      const [oldest] = this.#waiting;
      (oldest ?? socket).destroy();
      if (!oldest) return;
      this.#waiting.delete(oldest);
    }
    this.#count++;
    this.#waiting.add(socket);
    socket.once('close', () => {
      this.#count--;
      this.#waiting.delete(socket);
    });
  }

  answering(socket: Socket, response: ServerResponse): void {
    this.#waiting.delete(socket);
    response.once('close', () => { if (!socket.destroyed) this.#waiting.add(socket); });
  }
}

async function open(server: Server, owner: string, port: number, host: string): Promise<void> {
  try {
    await listen(server, { port, host, internal: true });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'is taken' : code === 'EACCES' ? 'is not allowed for this user' : `cannot be had (${message})`;
    throw new ClusterError('ERR_CLUSTER_START', `plugins.${owner}.port: port ${port} on ${host} ${why}`);
  }
}

async function answer(
  { routes, logger }: Master, owner: string, { host, hosts, serves = () => true }: OpenPortOptions,
  { method, url = '/', headers }: IncomingMessage,
): Promise<RouteAnswer> {
  const target = url.startsWith('/') ? `http://health${url}` : url;
  if (!URL.canParse(target)) return { status: 400, body: { error: 'the path of the request cannot be read' } };
  const { pathname, searchParams } = new URL(target);
  if (!isAllowed(headers.host, host, hosts)) {
    return { status: 403, body: { error: `this name is not answered here; plugins.${owner}.hosts lists the names that are` } };
  }
  const here = routes.filter((route) => route.open && route.path === pathname && serves(pathname));
  const route = here.find((one) => one.method === (method === 'HEAD' ? 'GET' : method));
  if (route) {
    try {
      const { signal } = new AbortController();
      return await route.handler(searchParams, { method: route.method, headers, body: undefined, signal, progress: () => {} });
    } catch (error) {
      logger.error(`${method} ${pathname} failed`, { error });
      return { status: 500, body: { error: `${pathname} failed; the log tells why` } };
    }
  }
  const [other] = here;
  if (other) return { status: 405, headers: { Allow: other.method }, body: { error: `${pathname} wants ${other.method}` } };
  const paths = routes.filter(({ open, path }) => open && serves(path)).map(({ path }) => path);
  return { status: 404, body: { error: `there is no ${pathname}; there are ${paths.join(', ')}` } };
}

/**
 * A page in somebody's browser can have its own name lead to a loopback address, and read what is answered there: such a
 * request has that name in its Host header. An address, or no Host at all, is no browser that was led here.
 */
function isAllowed(header: string | undefined, at: string, hosts: readonly string[] | undefined): boolean {
  if (!header) return true;
  const name = header.replace(/:\d*$/, '').toLowerCase();
  if (isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0 || name === 'localhost' || name === at.toLowerCase()) return true;
  return hosts ? hosts.some((one) => one.toLowerCase() === name) : !isLoopback(at);
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || host.startsWith('127.');

function send(response: ServerResponse, withoutBody: boolean, { status = 200, headers = {}, body }: RouteAnswer): void {
  const text = typeof body === 'string' ? body : `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'Content-Type': typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json',
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    ...headers,
  });
  response.end(withoutBody ? undefined : text);
}

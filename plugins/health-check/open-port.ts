import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ClusterError, listen, type Master, type RouteAnswer } from '../../lib/index.js';

/** A probe needs no longer for its request, ms. */
const PATIENCE = 10_000;
const MAX_CONNECTIONS = 256;

export interface OpenPort {
  /** `http://127.0.0.1:9000` */
  url: string;
  close(): void;
}

/**
 * Serves the master's open routes on a port of its own, so that a blocked worker cannot hide.
 * Rejects with ERR_CLUSTER_START when the port cannot be had. `serves` limits it to some paths.
 */
export async function openPort(
  master: Master, owner: string, { port, host }: { port: number; host: string }, serves: (path: string) => boolean = () => true,
): Promise<OpenPort> {
  const server = createServer({ requestTimeout: PATIENCE, headersTimeout: PATIENCE, keepAliveTimeout: 5_000 }, (request, response) => {
    void answer(master, serves, request).then((reply) => send(response, request.method === 'HEAD', reply)).catch((error: unknown) => {
      // What a plugin's route gives may be no answer at all.
      master.logger.error(`the answer to ${request.method} ${request.url} cannot be sent`, { error });
      if (response.headersSent) response.destroy();
      else send(response, request.method === 'HEAD', { status: 500, body: { error: 'no answer that can be sent' } });
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
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

async function open(server: Server, owner: string, port: number, host: string): Promise<void> {
  try {
    await listen(server, { port, host });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'is taken' : code === 'EACCES' ? 'is not allowed for this user' : `cannot be had (${message})`;
    throw new ClusterError('ERR_CLUSTER_START', `plugins.${owner}.port: port ${port} on ${host} ${why}`);
  }
}

async function answer(
  { routes, logger }: Master, serves: (path: string) => boolean, { method, url }: IncomingMessage,
): Promise<RouteAnswer> {
  try {
    const { pathname, searchParams } = new URL(url ?? '/', 'http://health');
    const here = routes.filter((route) => route.open && route.path === pathname && serves(pathname));
    const route = here.find((one) => one.method === (method === 'HEAD' ? 'GET' : method));
    if (route) return await route.handler(searchParams);
    const [other] = here;
    if (other) return { status: 405, headers: { Allow: other.method }, body: { error: `${pathname} wants ${other.method}` } };
    const paths = routes.filter(({ open, path }) => open && serves(path)).map(({ path }) => path);
    return { status: 404, body: { error: `there is no ${pathname}; there are ${paths.join(', ')}` } };
  } catch (error) {
    logger.error(`${method} ${url} failed`, { error });
    return { status: 500, body: { error: error instanceof Error ? error.message : String(error) } };
  }
}

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

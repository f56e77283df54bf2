import { mkdirSync, readFileSync } from 'node:fs';
import http, { type RequestListener } from 'node:http';
import type { Server } from 'node:net';
import path from 'node:path';
import { ClusterError } from '../kit/errors.js';
import type { BootInfo } from '../ipc/messages.js';
import type { ListenOptions, Runtime } from '../api/runtime.js';
import { EVERYWHERE } from './servable.js';

/** The server for apps that bring none: https where a certificate is configured. */
export async function createServer(https: BootInfo['listen']['https'], listener: RequestListener): Promise<http.Server> {
  if (!https?.key) return http.createServer(listener);
  const tls = await import('node:https');
  try {
    return tls.createServer({
      key: readFileSync(https.key),
      cert: readFileSync(https.cert),
      ca: https.ca === undefined ? undefined : readFileSync(https.ca),
    }, listener);
  } catch (cause) {
    throw new ClusterError('ERR_CLUSTER_CONFIG', `https cannot be served with ${Object.values(https).join(', ')}: ${(cause as Error).message}`);
  }
}

/** The folder of a unix socket is ours to make; the system calls its absence EACCES. */
export function makeRoom(socket: string | undefined): void {
  if (socket !== undefined && process.platform !== 'win32') mkdirSync(path.dirname(socket), { recursive: true });
}

/** Whether a server speaks TLS. */
export const isSecure = (server: Server): boolean => 'setSecureContext' in server;

/**
 * An app may export what can be served and yet listen by itself later, once its database is connected: our server then
 * gives the place up, and a second `listen` of the server that was exported finds it listening already.
 */
export function giveWay(server: Server, { port, host, path: socket }: BootInfo['listen'], runtime: Runtime): void {
  const isOurs = (options: ListenOptions): boolean =>
    socket === undefined ? options.path === undefined && Number(options.port) === port : options.path === socket;

  runtime.hooks.listen.tap('serve', (other, options) => {
    if (other === server) {
      if (host === undefined && options.host === EVERYWHERE) delete options.host;
    } else if (server.listening && isOurs(options)) {
      server.close();
    }
  });

  const { listen } = server;
  server.listen = function listenAgain(this: Server, ...args: unknown[]) {
    if (!server.listening) return listen.apply(this, args as Parameters<typeof listen>);
    const callback = args.at(-1);
    if (typeof callback === 'function') process.nextTick(() => { callback.call(server); });
    return server;
  } as typeof listen;
}

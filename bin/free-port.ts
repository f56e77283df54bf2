import { createServer } from 'node:net';
import type { LoadedConfig } from '../lib/config/load.js';
import { print } from './output.js';

/** How many ports after the wanted one are tried. */
const TRIES = 100;

/** For `dev`: takes the next free port when the wanted one is busy, and keeps to it when the configuration is read again. */
export function preparePort(): (loaded: LoadedConfig) => Promise<void> {
  const chosen = new Map<number, number>();
  return async ({ config }) => {
    const { port: wanted, host, path, server } = config;
    if (path !== undefined || wanted === 0 || !server) return;
    const port = chosen.get(wanted) ?? await nextFree(wanted, host);
    if (port !== wanted && !chosen.has(wanted)) print(`port ${wanted} is busy, taking ${port}`);
    chosen.set(wanted, port);
    config.port = port;
  };
}

async function nextFree(wanted: number, host: string | undefined): Promise<number> {
  const last = Math.min(65_535, wanted + TRIES);
  for (let port = wanted; port <= last; port++) {
    // Any other failure, a forbidden port for instance, is the worker's to report.
    if (await portFault({ port, host }) !== 'EADDRINUSE') return port;
  }
  return wanted;
}

/** The code of the system's refusal to listen there, null where it lets one: only by listening can one know. */
export function portFault({ port, host }: { port: number; host?: string }): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code, message }: NodeJS.ErrnoException) => resolve(code ?? message));
    server.listen({ port, host, exclusive: true }, () => { server.close(() => resolve(null)); });
  });
}

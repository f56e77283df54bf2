import type { RequestListener } from 'node:http';
import { getRequestListener } from '@hono/node-server';

export interface FetchApp {
  fetch(request: Request, env: object): Response | Promise<Response>;
}

/**
 * A web-standard handler as a request listener. A file of its own in dist/, as most workers never need it and parsing it
 * would cost each of them a millisecond.
 */
export const listenerOf = (app: FetchApp): RequestListener =>
  getRequestListener((request, env) => app.fetch(request, env), { overrideGlobalObjects: false });

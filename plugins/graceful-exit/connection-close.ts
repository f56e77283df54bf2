import type { ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import { isLastOnConnection, type RequestTap, type ServedRequest, type ServedResponse } from '../../lib/runtime.js';

/** Of graceful-exit: before anybody answers, or sends on, what comes. */
export const FIRST: RequestTap = { name: 'graceful-exit', stage: -100, limit: Infinity, streams: false };
const marked = new WeakSet<ServerResponse>();

/**
 * Makes an answer the last one of its connection (`Connection: close`), decided when its head is written: with
 * pipelined requests behind it, it is their last one that says so, as a client drops what follows a `close`.
 */
export function announceClose(response: ServerResponse): void {
  if (response.headersSent || marked.has(response)) return;
  marked.add(response);
  const { writeHead } = response;
  response.writeHead = function (this: ServerResponse, ...args: unknown[]) {
    if (!response.headersSent && isLastOnConnection(response)) {
      response.shouldKeepAlive = false;
      // An app, or the upstream that it proxies, may have set the header itself.
      if (response.hasHeader('connection')) response.setHeader('Connection', 'close');
      args = args.map(withoutKeepAlive);
    }
    return Reflect.apply(writeHead, response, args) as ServerResponse;
  } as ServerResponse['writeHead'];
}

/**
 * A tap of requests from a drain's beginning on: each gets an answer that closes its connection. Requests go on when all that has
 * arrived is parsed, as only then is it known which one of a pipelined batch is the last, and not before `heldOf` their server.
 */
export function closingAnswers(
  heldOf: (server: Server) => Promise<void> | null | undefined,
): (request: ServedRequest, response: ServedResponse, server: Server) => Promise<void> | undefined {
  let parsed: Promise<void> | null = null;
  return (_, response, server) => {
    if (!isHttp1(response)) return undefined;
    parsed ??= new Promise((resolve) => {
      setImmediate(() => {
        parsed = null;
        resolve();
      });
    });
    return parsed.then(() => heldOf(server)).then(() => announceClose(response));
  };
}

const isHttp1 = (response: ServedResponse): response is ServerResponse => 'shouldKeepAlive' in response;

const isKeepAlive = (name: unknown, value: unknown): boolean =>
  /^(connection|keep-alive)$/i.test(String(name)) && !/upgrade/i.test(String(value));

/** Headers given to `writeHead`, as an object, as pairs or as a flat list, without what says keep-alive. */
function withoutKeepAlive(headers: unknown): unknown {
  if (typeof headers !== 'object' || headers === null) return headers;
  if (!Array.isArray(headers)) return Object.fromEntries(Object.entries(headers).filter(([name, value]) => !isKeepAlive(name, value)));
  if (Array.isArray(headers[0])) return (headers as unknown[][]).filter(([name, value]) => !isKeepAlive(name, value));
  return headers.filter((_, at) => at % 2 === 0 ? !isKeepAlive(headers[at], headers[at + 1]) : !isKeepAlive(headers[at - 1], headers[at]));
}

import type { ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import { isLastOnConnection } from '../../lib/runtime.js';

const REQUEST_EVENTS = new Set<string | symbol>(['request', 'checkContinue', 'checkExpectation']);
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
 * From now on, every request of this server gets an answer that closes its connection. Requests are handed to the app
 * when all that has arrived is parsed, as only then is it known which one of a pipelined batch is the last, and not before `held`.
 */
export function announceCloseFromNowOn(server: Server, held: Promise<void> | null): void {
  const arrived: unknown[][] = [];
  const { emit } = server;
  const handOver = async () => {
    await held;
    for (const args of arrived.splice(0)) {
      announceClose(args[2] as ServerResponse);
      Reflect.apply(emit, server, args);
    }
  };
  server.emit = (...args: [string | symbol, ...unknown[]]): boolean => {
    if (!REQUEST_EVENTS.has(args[0]) || !isHttp1(args[2])) return Reflect.apply(emit, server, args) as boolean;
    if (arrived.push(args) === 1) setImmediate(handOver);
    return true;
  };
}

const isHttp1 = (response: unknown): boolean =>
  typeof response === 'object' && response !== null && 'shouldKeepAlive' in response;

const isKeepAlive = (name: unknown, value: unknown): boolean =>
  /^(connection|keep-alive)$/i.test(String(name)) && !/upgrade/i.test(String(value));

/** Headers given to `writeHead`, as an object, as pairs or as a flat list, without what says keep-alive. */
function withoutKeepAlive(headers: unknown): unknown {
  if (typeof headers !== 'object' || headers === null) return headers;
  if (!Array.isArray(headers)) return Object.fromEntries(Object.entries(headers).filter(([name, value]) => !isKeepAlive(name, value)));
  if (Array.isArray(headers[0])) return (headers as unknown[][]).filter(([name, value]) => !isKeepAlive(name, value));
  return headers.filter((_, at) => at % 2 === 0 ? !isKeepAlive(headers[at], headers[at + 1]) : !isKeepAlive(headers[at - 1], headers[at]));
}

import type { IncomingMessage } from 'node:http';
import type { RequestInFlight } from '../../lib/runtime.js';

/** Where health-check, if it is on, notes `performance.now()` of a request's start. */
const STARTED = Symbol.for('hatchery.started');
/** How many are told of. */
const MOST = 20;
const LONGEST_PATH = 200;

/** When the drain has first seen a request, `performance.now()`. */
const seen = new WeakMap<object, number>();

/** As it is told to the master: no query, as that may hold what is nobody's business. */
export function requestInFlight(request: IncomingMessage, now: number): RequestInFlight {
  if (!seen.has(request)) seen.set(request, now);
  const since = (request as { [STARTED]?: number })[STARTED] ?? seen.get(request) ?? now;
  return described(request.method, request.url, now - since);
}

export const described = (method: unknown, url: unknown, age: number): RequestInFlight => ({
  method: String(method).slice(0, MOST),
  path: String(url).split(/[?#]/, 1)[0]!.slice(0, LONGEST_PATH),
  age: Math.round(age),
});

export const oldest = (requests: RequestInFlight[]): RequestInFlight[] => requests.sort((a, b) => b.age - a.age).slice(0, MOST);

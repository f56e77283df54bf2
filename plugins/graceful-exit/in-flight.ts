import type { RequestInFlight } from '../../lib/runtime.js';
import type { Exchange } from './exchange.js';

/** How many are told of. */
const MOST = 20;
const LONGEST_PATH = 200;

/** As it is told to the master: no query, as that may hold what is nobody's business. */
export const described = ({ method, url, age }: Pick<Exchange, 'method' | 'url' | 'age'>): RequestInFlight => ({
  method: method.slice(0, MOST),
  path: url.split(/[?#]/, 1)[0]!.slice(0, LONGEST_PATH),
  age: Math.round(age),
});

/** The oldest of them, and not more than are told of. */
export const oldest = (requests: readonly RequestInFlight[]): RequestInFlight[] =>
  [...requests].sort((a, b) => b.age - a.age).slice(0, MOST);

/** `GET /tokens, 12.3 s`, for the log. */
export const told = ({ method, path, age }: RequestInFlight): string => `${method} ${path}, ${(age / 1_000).toFixed(1)} s`;

import * as v from 'valibot';
import { PRIORITIES, type Priority } from './priorities.js';

/** What is allowed, and what was found. */
const expected = (what: string) => ({ input }: { input: unknown }): string => `expected ${what}, found ${JSON.stringify(input)}`;

const whole = (min: number, max: number, what: string) =>
  v.custom<number>((value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max, expected(what));
const ms = (min: number) => whole(min, 60_000, `milliseconds from ${min} to 60000`);

const PATH = 'a path such as "/health", or "/static/*" for all that begin so';
const path = v.custom<string>((value) => typeof value === 'string' && /^\/[^?#\s*]*\*?$/.test(value), expected(PATH));
const METHOD = 'a method such as "GET", or a list of them';
const method = v.custom<string>((value) => typeof value === 'string' && /^[A-Z][A-Z-]*$/.test(value), expected(METHOD));
const names = Object.keys(PRIORITIES) as Priority[];
const RULE = 'an object of path, method and priority';
const PRIORITY = names.map((name) => `"${name}"`).join(', ');

const rule = v.pipe(v.strictObject({
  path: v.optional(path),
  method: v.optional(v.union([method, v.pipe(v.array(method), v.minLength(1, expected(METHOD)))], expected(METHOD))),
  priority: v.picklist(names, expected(PRIORITY)),
}, ({ input, expected: key }) => key === 'never' ? 'unknown; known are path, method and priority'
  : expected(key === '"priority"' ? PRIORITY : RULE)({ input })),
v.check(({ path: at, method: by }) => at !== undefined || by !== undefined, 'expected a path, a method, or both'));

const flag = (description: string) => v.optional(v.pipe(v.boolean(expected('true or false')), v.description(description)), true);

export const schema = v.strictObject({
  target: v.optional(v.pipe(ms(1), v.description('How long a request may wait for its worker where all do, ms: what has waited longer '
    + 'is shed by a worker that is over its limit. At least four times what a request costs it.')), 50),
  interval: v.optional(v.pipe(ms(10), v.description('For so long each must have waited longer before a worker is over its limit, ms: '
    + 'a burst is none. At least twenty times what a request costs it.')), 250),
  requests: v.optional(v.pipe(whole(1, 1_000_000, 'a whole number from 1 up'), v.description('So many requests may be under way in one '
    + 'worker, whatever they wait for; where none is given, any number.'))),
  retryAfter: v.optional(v.pipe(whole(1, 3_600, 'seconds from 1 to 3600'), v.description('`Retry-After` of what is shed, s: by chance '
    + 'from this to three times as many, so that not all come back at once.')), 1),
  never: v.optional(v.pipe(v.array(path, expected('a list of paths')), v.description('Paths that are never shed: those of health checks.')),
    ['/health', '/healthz', '/livez', '/readyz']),
  rules: v.optional(v.pipe(v.array(rule, expected('a list of rules')), v.description('Which requests are shed first: `{ path, method, '
    + 'priority }`, the first that fits holds. `low` goes where it has waited half of `target`, `high` at twice as much, `never` never.')),
  []),
  route: flag('Hand a connection that comes to the least busy worker. Not beside another plugin that picks, as sticky-session does.'),
  acceptor: flag('When all workers are over their limits, the master answers connections to cleartext HTTP/1 itself.'),
  readiness: flag('A worker that is over its limit does not count as ready at `/readyz`.'),
}, 'expected an object of options');

export type OverloadOptions = v.InferOutput<typeof schema>;

declare module '../../lib/index.js' {
  interface PluginOptions {
    overload: v.InferInput<typeof schema>;
  }
}

import * as v from 'valibot';
import { urlFault } from './redis-url.js';

const text = v.pipe(v.string('expected a text'), v.nonEmpty('expected a text'));
const EXPECTED = 'expected a URL, { env } or { file }';

// What is found is not shown: it may be a secret.
const url = v.pipe(text, v.rawCheck(({ dataset, addIssue }) => {
  const fault = dataset.typed ? urlFault(dataset.value) : undefined;
  if (fault !== undefined) addIssue({ message: fault });
}));

export const schema = v.strictObject({
  url: v.optional(v.pipe(v.union([
    url,
    v.strictObject({ env: v.pipe(text, v.regex(/^\w+$/, 'expected the name of a variable')) }, EXPECTED),
    v.strictObject({ file: text }, EXPECTED),
  ], EXPECTED), v.description('Where Redis is: `redis://user:password@host:6379/0`, `rediss://` with TLS, `unix:/path`; '
    + '`{ env }`, the variable that holds it, or `{ file }`, a file that does, relative to the app\'s directory.')), { env: 'REDIS_URL' }),
  tls: v.optional(v.pipe(v.strictObject({ ca: v.optional(text), cert: v.optional(text), key: v.optional(text) },
    'expected { ca, cert, key }'), v.description('Files (PEM), relative to the app\'s directory, with `rediss://`: `ca`, by which the '
    + 'certificate of Redis is checked, in place of those that Node knows; `cert` and `key`, where Redis knows its clients by them.'))),
  name: v.optional(v.pipe(text, v.maxLength(100, 'expected at most 100 characters'),
    v.regex(/^[\x21-\x7e]+$/, 'expected printable ASCII without blanks'),
    v.description('Name of this host for people. By itself the system\'s host name.'))),
  prefix: v.optional(v.pipe(text, v.regex(/^[\w.:@/-]{1,200}$/, 'expected 1 to 200 letters, digits and _ . : @ / -'),
    v.description('Begins all keys in Redis: instances with the same one are one group. By itself `hatchery:` and the title.'))),
  ttl: v.optional(v.pipe(v.number('expected milliseconds'), v.integer('expected whole milliseconds'),
    v.minValue(1_000, 'expected 1000 ms or more'), v.maxValue(600_000, 'expected 600000 ms or less'),
    v.description('How long a lease lasts unless it is renewed, ms; the same on all hosts. An instance that is not heard of is gone '
      + 'after as long, 10000 ms at least.')), 10_000),
}, 'expected an object of options');

export type HostsOptions = v.InferOutput<typeof schema>;

declare module '../../lib/index.js' {
  interface PluginOptions {
    hosts: v.InferInput<typeof schema>;
  }
}

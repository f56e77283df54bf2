import * as v from 'valibot';

/** What is allowed, and what was found. */
const expected = (what: string) => ({ input }: { input: unknown }): string => `expected ${what}, found ${JSON.stringify(input)}`;

const whole = (min: number, what: string, max = Number.MAX_SAFE_INTEGER) =>
  v.custom<number>((value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max, expected(what));

const UNITS: Readonly<Record<string, number>> = { '': 1, B: 1, KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 };
const SIZE = /^(\d+(?:\.\d+)?)\s*(|B|KB|MB|GB)$/i;

/** `"512MB"` in bytes; NaN for anything else. */
const parseSize = (text: string): number => {
  const [, count, unit = ''] = SIZE.exec(text.trim()) ?? [];
  return count === undefined ? NaN : Math.round(Number(count) * (UNITS[unit.toUpperCase()] as number));
};

const bytes = (description: string) => v.optional(v.pipe(
  v.custom<number | string>((value) => (typeof value === 'string' ? parseSize(value) : typeof value === 'number' ? value : NaN) > 0,
    expected('a number of bytes or a text such as "512MB"')),
  v.description(description),
  v.transform((value) => typeof value === 'string' ? parseSize(value) : value),
));

const ms = (min: number) => whole(min, `a number of milliseconds from ${min} up`);

/** Of every port that answers for the master. */
export const hosts = v.optional(v.pipe(v.array(v.string('expected a host name'), 'expected a list of host names'),
  v.description('Names that a Host header may have there, beside addresses and localhost; none given: any, on a loopback address none.')));

export const schema = v.strictObject({
  hangTimeout: v.optional(v.pipe(v.union([v.literal(false), ms(100)], expected('a number of milliseconds from 100 up, or false')),
    v.description('A ready child whose event loop has not answered for so long is killed and replaced, ms; `false`: never.')), 30_000),
  maxRss: bytes('A worker above this resident memory is recycled: bytes, or a text such as "512MB".'),
  maxHeapUsed: bytes('The same for the JavaScript heap.'),
  maxRequests: v.optional(v.pipe(whole(1, 'a whole number from 1 up'),
    v.description('A worker that has answered so many requests is recycled.'))),
  maxAge: v.optional(v.pipe(ms(1), v.description('A worker that is older is recycled, ms.'))),
  jitter: v.optional(v.pipe(
    v.custom<number>((value) => typeof value === 'number' && value >= 0 && value < 1, expected('a number from 0 to below 1')),
    v.description('Each worker\'s limits are lowered by up to this share, so that workers do not reach them together.')), 0.1),
  cron: v.optional(v.pipe(v.string('expected a cron expression'),
    v.description('When to recycle all workers, one after the other: a cron expression.'))),
  heapSnapshotNearLimit: v.optional(v.pipe(whole(1, 'a whole number from 1 up'),
    v.description('A worker near its heap limit writes up to so many heap snapshots.'))),
  port: v.optional(v.pipe(whole(0, 'a port from 0 to 65535', 65_535),
    v.description('Where the master answers /livez, /readyz and /metrics.'))),
  host: v.optional(v.pipe(v.string('expected an address'), v.description('Address of that port.')), '127.0.0.1'),
  hosts,
  status: v.optional(v.pipe(v.boolean('expected true or false'),
    v.description('Whether that port answers /status too, without error texts.')), false),
  quorum: v.optional(v.pipe(whole(1, 'a whole number from 1 up'), v.description('Ready as a whole when so many workers are.')), 1),
  checkTimeout: v.optional(v.pipe(ms(1), v.description('How long a readiness check may take, ms.')), 2_000),
});

export type HealthCheckOptions = v.InferOutput<typeof schema>;

declare module '../../lib/index.js' {
  interface PluginOptions {
    'health-check': v.InferInput<typeof schema>;
  }
}

import * as v from 'valibot';
import { hosts } from '../health-check/options.js';

const isPort = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65_535;

export const schema = v.strictObject({
  port: v.optional(v.pipe(v.custom<number>(isPort, ({ input }) => `expected a port from 0 to 65535, found ${JSON.stringify(input)}`),
    v.description('A port of its own for GET /metrics; '
      + 'without it /metrics is on health-check\'s port, and always on the control socket.'))),
  host: v.optional(v.pipe(v.string('expected an address'), v.description('Address of that port.')), '127.0.0.1'),
  hosts,
});

export type MetricsOptions = v.InferOutput<typeof schema>;

declare module '../../lib/index.js' {
  interface PluginOptions {
    metrics: v.InferInput<typeof schema>;
  }
}

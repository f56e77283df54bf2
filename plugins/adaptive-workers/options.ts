import * as v from 'valibot';

const count = v.pipe(v.number(), v.integer(), v.minValue(1));

/** Filled from the key `workers`, where a range is written. */
export const schema = v.strictObject({ min: count, max: count, quiet: count });

/** What a configuration may say of it: that it is off. */
export type AdaptiveWorkersOptions = Record<string, never>;

declare module '../../lib/index.js' {
  interface PluginOptions {
    'adaptive-workers': AdaptiveWorkersOptions;
  }
  interface InternalMessages {
    /** A worker has come beside this one: connections that are kept open may go to it. */
    'adaptive.spread': { from: 'master'; to: 'worker'; data: null };
  }
}

import * as v from 'valibot';

/** A configuration gives it none: the range is said by the key `workers`. */
export const schema = v.strictObject({});

const count = v.pipe(v.number(), v.integer(), v.minValue(1));

/** What it is given: that range, resolved. */
export const rangeSchema = v.strictObject({ min: count, max: count, quiet: count });

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

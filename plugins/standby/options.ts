import * as v from 'valibot';

/** It has none: how many wait is said by the key `standby`. */
export const schema = v.strictObject({});

export type StandbyOptions = Record<string, never>;

declare module '../../lib/index.js' {
  interface PluginOptions {
    standby: StandbyOptions;
  }
  interface Shared {
    /** For whoever is short of memory. */
    standby: {
      /** Ends those that wait, and starts none for a minute. False where there are none. */
      makeRoom(): boolean;
    };
  }
}

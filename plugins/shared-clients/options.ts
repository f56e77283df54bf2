import * as v from 'valibot';

/** It has none: a key that somebody gives is a mistake. */
export const schema = v.strictObject({});

export type SharedClientsOptions = Record<string, never>;

declare module '../../lib/index.js' {
  interface PluginOptions {
    'shared-clients': SharedClientsOptions;
  }
}

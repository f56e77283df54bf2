import * as v from 'valibot';

/** It has none: what memory means is said by the key `memory`. */
export const schema = v.strictObject({});

export type ContainerOptions = Record<string, never>;

declare module '../../lib/index.js' {
  interface PluginOptions {
    container: ContainerOptions;
  }
}

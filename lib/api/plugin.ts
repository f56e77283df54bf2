import { isObject, misuse } from '../kit/misuse.js';
import type { Master } from './master.js';

/** A schema library's common interface (https://standardschema.dev): valibot, zod, arktype and others have it. */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | {
    readonly issues: readonly {
      readonly message: string;
      readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
    }[];
  };

/**
 * A plugin. `apply` runs once in the master, before anything is forked; it taps hooks there and never later
 * (ERR_CLUSTER_TAP_LATE). Its parts for the other processes are given to `master.inject`.
 */
export interface Plugin<Options = unknown> {
  name: string;
  /** Validates the options and fills in defaults; without it any options are taken. */
  schema?: StandardSchema<Options>;
  /** semver ranges. */
  engines?: { node?: string; hatchery?: string };
  apply(master: Master, options: Options): void | Promise<void>;
}

declare module '../config/schema.js' {
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type -- what a plugin object in a configuration is
  interface PluginObject extends Plugin {}
}

/** Types a plugin; returns it unchanged. */
export function definePlugin<Options>(plugin: Plugin<Options>): Plugin<Options> {
  const isOne = isObject(plugin) && typeof plugin.name === 'string' && typeof plugin.apply === 'function';
  if (!isOne) throw misuse(definePlugin, 'an object with `name` and `apply`', plugin);
  return plugin;
}

import { createRequire } from 'node:module';
import type { Debugger } from 'debug';

/** `debug`, where DEBUG is set. Elsewhere it is not even loaded: it brings the terminal's streams, some ms of a start. */
export const createDebug = (namespace: string): Debugger | ((format: string, ...values: unknown[]) => void) =>
  process.env.DEBUG ? (createRequire(import.meta.filename)('debug') as (namespace: string) => Debugger)(namespace) : () => {};

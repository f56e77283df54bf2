import { ClusterError } from './errors.js';

/** A function or a class of the public API. */
type Door = ((...args: never) => unknown) | (abstract new (...args: never) => unknown);

/** A value in an error message: recognisable, and one line. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value);
  const text = JSON.stringify(value) ?? String(value);
  if (typeof value === 'number' && text === 'null') return String(value);
  if (text.length <= 60) return text;
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `${text.slice(0, 57)}..."`;
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A call that cannot be meant, in one line: `startCluster: expected an object of options, found 42`. */
export const misuse = (door: Door, expected: string, found: unknown): ClusterError =>
  atCaller(new ClusterError('ERR_CLUSTER_USAGE', `${door.name}: expected ${expected}, found ${show(found)}`), door);

/**
 * An error of ours is told where the user's code called `door`: Node prints the source of a stack's first line, and that is
 * to be the user's, not our bundle's (test/integration/library-mistakes.test.ts).
 */
export function atCaller<Failure>(error: Failure, door: Door): Failure {
  if (error instanceof ClusterError) Error.captureStackTrace(error, door);
  return error;
}

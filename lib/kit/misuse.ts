import { ClusterError } from './errors.js';

/** A function or a class of the public API. */
type Door = ((...args: never) => unknown) | (abstract new (...args: never) => unknown);

/** A value in an error message: recognisable, and one line. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value);
  const text = json(value);
  if (typeof value === 'number' && text === 'null') return String(value);
  if (text.length <= 60) return text;
  return isList(value) ? 'a list' : typeof value === 'object' ? 'an object' : `${text.slice(0, 57)}..."`;
}

/** A value may go round in a circle, or have a getter that throws. */
function json(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return isList(value) ? 'a list' : 'an object';
  }
}

/** Of a Proxy that was revoked even that cannot be asked. */
function isList(value: unknown): boolean {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

/**
 * What a terminal, or who reads a log with one, would obey in place of showing it: control characters but for tab and newline,
 * and what turns the direction of writing round. Shown as JSON shows them, so that what is JSON stays the same value.
 */
const CONTROL = /\r(?!\n)|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** A text that others have made (an error, a title, a path), as a person may be shown it. */
export const visible = (text: string): string =>
  text.replace(CONTROL, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

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

/** The candidate that a mistyped `word` most likely meant; undefined when none is near enough to be worth saying. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const wanted = plain(word);
  let best: string | undefined;
  // A third of the letters wrong is a typing error; more is another word.
  let least = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, plain(candidate));
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/** `start_timeout` and `StartTimeout` are `startTimeout` written in another habit, not other words. */
const plain = (word: string) => word.replace(/[-_.\s]/g, '').toLowerCase();

/** Insertions, deletions, substitutions and swaps of neighbours that lead from one word to the other. */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let cost = Math.min(at(last, column) + 1, at(current, column - 1) + 1, at(last, column - 1) + (same ? 0 : 1));
      if (row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]) {
        cost = Math.min(cost, at(beforeLast, column - 2) + 1);
      }
      current.push(cost);
    }
    [beforeLast, last] = [last, current];
  }
  return at(last, to.length);
}

const at = (row: number[], index: number): number => row[index] ?? Infinity;

import { createDebug } from '../kit/logger.js';

const debug = createDebug('hatchery:node');

interface Taken {
  lines: Set<string>;
  listeners: ((what: string) => void)[];
}

/** One list a process: parts of plugins bring a copy of this code of their own. */
const LIST = Symbol.for('hatchery.slowPaths');
const taken = (): Taken => (globalThis as unknown as { [LIST]?: Taken })[LIST] ??= { lines: new Set(), listeners: [] };

/**
 * Notes that something Node does not document is not there, and what is done instead: `status` shows it, and DEBUG. The same
 * line counts once.
 */
export function slowPath(what: string): void {
  const { lines, listeners } = taken();
  if (lines.has(what)) return;
  lines.add(what);
  debug('slow path: %s', what);
  for (const listener of listeners) listener(what);
}

/** The slow ways that this process takes, a line each. */
export const slowPaths = (): string[] => [...taken().lines];

/** Hears of each slow way, those already taken included. */
export function onSlowPath(listener: (what: string) => void): void {
  const { lines, listeners } = taken();
  listeners.push(listener);
  for (const what of lines) listener(what);
}

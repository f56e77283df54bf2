import { isObject } from '../kit/misuse.js';
import { pathText, type Path } from './check.js';
import type { Config } from './schema.js';

/** What a master is made with, once. */
const ONCE = ['title', 'balance', 'inspect', 'inspectBrk'] as const;

/** A configuration that was read anew, with what can change while the master runs. */
export interface Renewed {
  config: Config;
  /** A line for each key that says something else than what is in force, and waits for a restart. */
  waiting: string[];
}

/**
 * What a reload makes of a configuration that was read anew: keys that a master is made with stay as they are `inForce`, and
 * are named, so that none is ignored without a word. `workers`: how many there are, as that is scale's matter.
 */
export function renewed(read: Config, inForce: Config, workers: number): Renewed {
  const keys = ONCE.filter((key) => !sameValue(read[key], inForce[key]));
  const options = Object.keys({ ...inForce.plugins, ...read.plugins })
    .flatMap((name) => differing(optionsOf(inForce.plugins[name]), optionsOf(read.plugins[name]), ['plugins', name]));
  const waiting = [...keys.map((key) => pathText([key])), ...options].map((key) => `${key}: takes effect at a restart`);
  if (read.workers !== inForce.workers && read.workers !== workers) {
    waiting.push(`workers: takes effect at a restart; "scale ${read.workers}" does it now`);
  }
  const rotates = inForce.log.rotate !== undefined;
  if ((read.log.rotate !== undefined) !== rotates) waiting.push(`log.rotate: takes effect at a restart`);
  const log = rotates ? { ...read.log, rotate: read.log.rotate ?? inForce.log.rotate } : { level: read.log.level, format: read.log.format };
  const kept = Object.fromEntries(ONCE.map((key) => [key, inForce[key]])) as Pick<Config, (typeof ONCE)[number]>;
  return { config: { ...read, ...kept, log, workers }, waiting };
}

/** Of a plugin that is on without options, `true` and `{}` are the same. */
const optionsOf = (value: Config['plugins'][string] | undefined): unknown => value === true ? {} : value ?? false;

/** Paths at which two values differ, as deep as both are objects. */
function differing(one: unknown, other: unknown, at: Path): string[] {
  if (isObject(one) && isObject(other)) {
    return Object.keys({ ...one, ...other }).flatMap((key) => differing(one[key], other[key], [...at, key]));
  }
  return sameValue(one, other) ? [] : [pathText(at)];
}

/** Alike for a person who reads them: functions by their text, as a configuration that is code makes new ones each time. */
export const sameValue = (one: unknown, other: unknown): boolean => one === other || text(one) === text(other);

/** Undefined for what has none: a client of something, perhaps, that an option holds. */
function text(value: unknown): string | undefined {
  try {
    return JSON.stringify(value, (_, inner: unknown) =>
      typeof inner === 'function' || typeof inner === 'bigint' || inner instanceof RegExp ? String(inner) : inner);
  } catch {
    return undefined;
  }
}

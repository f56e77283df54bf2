import type { Config } from '../../lib/index.js';

/** Keys that only the master itself uses, once. */
const AT_START = /^(?:title|plugins|balance|inspect|inspectBrk)\b/;

export interface ConfigChange {
  /** `workers 1 -> 2` */
  text: string;
  /** It has no effect before the next start. */
  needsRestart: boolean;
}

/** What differs between two configurations. */
export function configChanges(before: Config, after: Config): ConfigChange[] {
  const old = flat(before);
  const fresh = flat(after);
  const keys = new Set([...old.keys(), ...fresh.keys()]);
  return [...keys].filter((key) => old.get(key) !== fresh.get(key)).map((key) => ({
    text: `${key} ${old.get(key) ?? 'not set'} -> ${fresh.get(key) ?? 'not set'}`,
    needsRestart: AT_START.test(key),
  }));
}

function flat(value: object, at = '', found = new Map<string, string>()): Map<string, string> {
  for (const [key, inner] of Object.entries(value)) {
    if (inner !== null && typeof inner === 'object' && !Array.isArray(inner)) flat(inner as object, `${at}${key}.`, found);
    else if (inner !== undefined) found.set(at + key, JSON.stringify(inner));
  }
  return found;
}

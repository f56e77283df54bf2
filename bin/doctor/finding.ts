import type { Facts } from './facts.js';

/** `bites`: requests, or the start, are lost by it one day. `note`: worth a thought. */
export type Level = 'good' | 'note' | 'bites';

export interface Finding {
  name: string;
  level: Level;
  text: string;
  /** What to do about it. */
  fix?: string;
}

export type Answer = Omit<Finding, 'name'> | null;
export interface Check {
  name: string;
  /** Null: nothing to say here. Several: each is a line. */
  look(facts: Facts): Answer | Answer[];
}

export const good = (text: string): Answer => ({ level: 'good', text });
export const note = (text: string, fix: string): Answer => ({ level: 'note', text, fix });
export const bites = (text: string, fix: string): Answer => ({ level: 'bites', text, fix });

export const count = (number: number, word: string): string => `${number} ${word}${number === 1 ? '' : 's'}`;
export const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MB`;

/** Each line of what is found, in the order of the checks. */
export const findings = (facts: Facts, checks: readonly Check[]): Finding[] => checks.flatMap(({ name, look }) =>
  [look(facts)].flat().flatMap((answer) => answer ? [{ name, ...answer }] : []));

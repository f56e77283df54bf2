import path from 'node:path';
import { isObject } from './check.js';
import { isPath, resolvePath } from './resolve-module.js';

export interface Bases {
  /** `app` and `agent` are looked for in the target first, wherever they are named. */
  target: string;
  /** Every other relative path counts from where it is written: a file's directory, the shell's for a flag. */
  written: string;
}

type Rule = (value: unknown, bases: Bases) => unknown;

const onText = (rule: (value: string, bases: Bases) => string): Rule => (value, bases) => typeof value === 'string' ? rule(value, bases) : value;
const inTarget = onText((value, { target, written }) =>
  path.resolve([target, written].find((base) => resolvePath(path.resolve(base, value))) ?? target, value));
const asWritten = onText((value, { written }) => path.resolve(written, value));
/** `./here.js` is a path, `egg` and `tsx/esm` are packages. */
const pathOrPackage = onText((value, { written }) => isPath(value) ? path.resolve(written, value) : value);
const each: Rule = (value, bases) => Array.isArray(value) ? value.map((item) => pathOrPackage(item, bases)) : value;
const mapValues = (rule: Rule): Rule => (value, bases) => isObject(value) ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, rule(inner, bases)])) : value;
const mapKeys = (rule: Rule): Rule => (value, bases) => isObject(value) ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [rule(key, bases) as string, inner])) : value;

const RULES: Readonly<Record<string, Rule>> = {
  app: inTarget,
  agent: inTarget,
  framework: pathOrPackage,
  path: asWritten,
  https: mapValues(asWritten),
  require: each,
  import: each,
  plugins: mapKeys(pathOrPackage),
};

/** A layer with its relative paths made absolute, so that layers from several places can be merged. */
export const absolutePaths = (values: Record<string, unknown>, bases: Bases): Record<string, unknown> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Object.hasOwn(RULES, key) ? (RULES[key] as Rule)(value, bases) : value]));

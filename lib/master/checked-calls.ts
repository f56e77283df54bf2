import type { ChildView } from '../api/child.js';
import { ClusterError } from '../kit/errors.js';
import { isObject, nearest, show } from '../kit/misuse.js';
import type { BootstrapOptions } from './core.js';
import type { CloseOptions } from './operations/shutdown.js';
import { Child } from './processes/child.js';

/**
 * What callers give to the master, looked at where they give it: later on it would be a TypeError of ours, or end the master
 * in a callback that nobody waits for.
 */
const refused = (call: string, expected: string, found: unknown): ClusterError =>
  new ClusterError('ERR_CLUSTER_USAGE', `${call}: expected ${expected}, found ${show(found)}`);

/** A child as hooks and `children()` give it, alive or not. @throws ClusterError ERR_CLUSTER_USAGE */
export function ownChild(call: string, child: ChildView): Child {
  if (child instanceof Child) return child;
  throw refused(call, 'a child as children() and the hooks give it', child);
}

/** @throws ClusterError ERR_CLUSTER_USAGE */
export function aFunction<Wanted>(call: string, value: Wanted): Wanted {
  if (typeof value === 'function') return value;
  throw refused(call, 'a function', value);
}

/** The highest exit code that a process has. */
const HIGHEST = 255;

/** @throws ClusterError ERR_CLUSTER_USAGE */
export function closeOptions(options: CloseOptions = {}): CloseOptions {
  if (!isObject(options)) throw refused('close', 'an object of options', options);
  const { code = 0, force = false } = options as CloseOptions;
  if (!Number.isInteger(code) || code < 0 || code > HIGHEST) {
    throw refused('close', `a whole number from 0 to ${HIGHEST} as the exit code`, code);
  }
  if (typeof force !== 'boolean') throw refused('close', 'true or false as `force`', force);
  return options;
}

/** What `reload` and `restart` are given. @throws ClusterError ERR_CLUSTER_USAGE */
export function reloadOptions<Options extends object>(call: string, reason: string, options: Options | undefined): Options | undefined {
  if (typeof reason !== 'string') throw refused(call, 'a text as the reason', reason);
  if (options === undefined) return options;
  if (!isObject(options)) throw refused(call, 'an object of options', options);
  const { agent, queue, env } = options as { agent?: unknown; queue?: unknown; env?: unknown };
  for (const [name, value] of [['agent', agent], ['queue', queue]] as const) {
    if (value !== undefined && typeof value !== 'boolean') throw refused(call, `true or false as \`${name}\``, value);
  }
  if (env === undefined) return options;
  if (!isObject(env)) throw refused(call, 'an object of variables as `env`', env);
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || (typeof value === 'string' && !value.includes('\0'))) continue;
    throw refused(call, `a text without NUL as env.${name}`, value);
  }
  return options;
}

type Field = [expected: string, fits: (value: unknown) => boolean];

/** setTimeout's limit, ms: it makes 1 ms of more, and of what is no number. */
const LONGEST = 2 ** 31 - 1;
const milliseconds: Field = [`milliseconds from 0 to ${LONGEST}`, (value) => typeof value === 'number' && value >= 0 && value <= LONGEST];
const anObject: Field = ['an object', (value) => value === null || isObject(value)];

const OPTIONS: Readonly<Record<keyof BootstrapOptions, Field>> = {
  reloadConfig: ['a function', (value) => typeof value === 'function'],
  logFiles: anObject,
  environment: anObject,
  files: anObject,
  onFilesMoved: ['a function', (value) => typeof value === 'function'],
  hookTimeout: milliseconds,
  checkInterval: milliseconds,
  ownsProcess: ['true or false', (value) => typeof value === 'boolean'],
  alone: ['a function', (value) => typeof value === 'function'],
  catchUncaught: ['true or false', (value) => typeof value === 'boolean'],
  dry: ['true or false', (value) => typeof value === 'boolean'],
};

/** @throws ClusterError ERR_CLUSTER_USAGE */
export function replaceOptions(options: { leavesFirst?: number } = {}): { leavesFirst?: number } {
  if (!isObject(options)) throw refused('replace', 'an object of options', options);
  const { leavesFirst } = options as { leavesFirst?: number };
  if (leavesFirst === undefined || milliseconds[1](leavesFirst)) return options;
  throw refused('replace', `${milliseconds[0]} as leavesFirst`, leavesFirst);
}

const index = (value: unknown): boolean => value === undefined || (Number.isSafeInteger(value) && (value as number) >= 0);

/** @throws ClusterError ERR_CLUSTER_USAGE */
export function standByOptions(options: { slot?: number; generation?: number } = {}): { slot?: number; generation?: number } {
  if (!isObject(options)) throw refused('standBy', 'an object of options', options);
  for (const key of ['slot', 'generation'] as const) {
    if (!index(options[key])) throw refused('standBy', `a whole number from 0 up as ${key}`, options[key]);
  }
  return options;
}

/** A misspelt `ownsProcess` would end the caller's process. @throws ClusterError ERR_CLUSTER_USAGE */
export function bootstrapOptions(call: string, options: BootstrapOptions): BootstrapOptions {
  if (!isObject(options)) throw refused(call, 'an object as its second argument', options);
  for (const [key, value] of Object.entries(options)) {
    const field = Object.hasOwn(OPTIONS, key) ? OPTIONS[key as keyof BootstrapOptions] : undefined;
    if (!field) {
      const near = nearest(key, Object.keys(OPTIONS));
      const hint = near ? `did you mean "${near}"?` : `known are ${Object.keys(OPTIONS).join(', ')}`;
      throw new ClusterError('ERR_CLUSTER_USAGE', `${call}: unknown option "${key}" in the second argument, ${hint}`);
    }
    if (value !== undefined && !field[1](value)) throw refused(call, `${field[0]} as ${key}`, value);
  }
  return options as BootstrapOptions;
}

import type { ChildProcess } from 'node:child_process';
import type { Worker } from 'node:cluster';
import type { ForkSpec } from '../../api/hooks.js';
import type { Variables } from '../../config/environment.js';
import { ClusterError } from '../../kit/errors.js';
import { isObject, show } from '../../kit/misuse.js';

/** Where a process is started, and where its output goes. */
export interface ForkPlace {
  cwd: string;
  /** The package's folder that it runs from. */
  root: string;
  /** Standard output and error of the child: the master's own, or a log file's descriptors. */
  stdio: { out: number; err: number };
  /** What it has otherwise than the master's environment. */
  environment?: Variables;
}

/** A process that has just been started. */
export interface Forked {
  process: ChildProcess;
  worker: Worker | null;
  /** SIGKILL, with what it has started, as far as that is not to be left alone. Resolves when the signals are sent. */
  kill(): void | Promise<void>;
}

/** Whether it can be an argument, or the name or value of a variable. */
const isArgument = (value: unknown): boolean => typeof value === 'string' && !value.includes('\0');
const isValue = (value: unknown): boolean =>
  value === undefined || typeof value === 'number' || typeof value === 'boolean' || isArgument(value);

/**
 * What taps of `hook` have made of it: Node would throw a TypeError that names nobody, or take one for the other.
 * @throws ClusterError ERR_CLUSTER_HOOK
 */
export function checkSpec({ execArgv, env }: ForkSpec, hook: string, plugins: readonly string[]): void {
  const wrong = (what: string, found: unknown) => new ClusterError('ERR_CLUSTER_HOOK',
    `hook ${hook} (${plugins.map((name) => `plugin "${name}"`).join(', ')}): expected ${what}, found ${show(found)}`);
  const list: unknown = execArgv;
  if (!Array.isArray(list)) throw wrong('a list of texts as execArgv', list);
  for (const [index, one] of list.entries()) if (!isArgument(one)) throw wrong(`a text without NUL as execArgv[${index}]`, one);
  if (!isObject(env)) throw wrong('an object as env', env);
  for (const [name, value] of Object.entries(env)) {
    if (!isArgument(name) || name === '') throw wrong('names without NUL in env', name);
    if (!isValue(value)) throw wrong(`a text without NUL as env.${name}`, value);
  }
}

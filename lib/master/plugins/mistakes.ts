import path from 'node:path';
import type { StandardResult, StandardSchema } from '../../api/plugin.js';
import type { Path } from '../../config/check.js';
import { ClusterError, messageOf } from '../../kit/errors.js';
import { show, nearest } from '../../kit/misuse.js';
import { packageRoot } from '../../kit/package.js';
import { findSyntaxFault } from '../../kit/syntax-faults.js';

type Issue = NonNullable<StandardResult<unknown>['issues']>[number];

/**
 * A line for each mistake that a plugin's schema has found: where it is written, what is allowed, what was found, the nearest
 * word.
 */
export function optionMistakes(
  schema: StandardSchema, options: unknown, issues: readonly Issue[], where: (path: Path) => Promise<string>,
): Promise<string[]> {
  // Objects of valibot have `entries`, those of zod `shape`; of others the names are not known.
  const { entries, shape } = schema as { entries?: object; shape?: object };
  const known = Object.keys(entries ?? shape ?? {});
  return Promise.all(issues.map(async ({ path, message }) => {
    const keys = keysOf(path);
    const place = await where(keys);
    const [first, ...more] = keys;
    if ((entries ?? shape) && typeof first === 'string' && more.length === 0 && !known.includes(first)) {
      const near = nearest(first, known);
      const others = known.length > 0 ? `; known are ${known.join(', ')}` : '; there are none';
      return `${place}: unknown option${near ? `, did you mean "${near}"?` : others}`;
    }
    // Ours say what is allowed and leave the rest to this line; others say all of it in words of their own.
    if (!/^expected /i.test(message) || /, (?:found|received) /.test(message)) return `${place}: ${message}`;
    const found = keys.reduce<unknown>((value, key) => (value as Record<string | number, unknown> | undefined)?.[key], options);
    const near = typeof found === 'string' ? nearest(found, [...message.matchAll(/"([^"]+)"/g)].map(([, word = '']) => word)) : undefined;
    return `${place}: ${message}, found ${show(found)}${near ? `, did you mean "${near}"?` : ''}`;
  }));
}

const keysOf = (path: Issue['path'] = []): (string | number)[] =>
  path.map((part) => typeof part === 'object' ? part.key : part).map((key) => typeof key === 'number' ? key : String(key));

const WORDS: Readonly<Record<string, boolean>> = { true: true, false: false };

/**
 * Options in which texts that the schema refuses, and that were `filled` in from variables, are the numbers or the true and false
 * that they say; undefined where there are none.
 */
export function retyped(options: unknown, issues: readonly Issue[], filled: (path: Path) => boolean): unknown {
  let changed: unknown;
  for (const keys of issues.map(({ path }) => keysOf(path))) {
    const text = keys.reduce<unknown>((value, key) => (value as Record<string | number, unknown> | undefined)?.[key], options);
    if (typeof text !== 'string' || !filled(keys)) continue;
    const value = WORDS[text.trim()] ?? (/^-?\d+(?:\.\d+)?$/.test(text.trim()) ? Number(text) : undefined);
    if (value !== undefined) changed = replaced(changed ?? options, keys, value);
  }
  return changed;
}

function replaced(whole: unknown, [key, ...rest]: Path, value: unknown): unknown {
  if (key === undefined) return value;
  const inner = replaced((whole as Record<string | number, unknown>)[key], rest, value);
  return Array.isArray(whole) ? whole.with(Number(key), inner) : { ...whole as object, [key]: inner };
}

/** A plugin's own error: one line, and below it where in the plugin it happened. */
export function failure(what: string, error: unknown): ClusterError {
  const text = messageOf(error).split('\n')[0];
  const detail = error instanceof Error ? foreignFrames(error) : '';
  return new ClusterError('ERR_CLUSTER_PLUGIN', `${what}: ${text}`, { cause: error, detail });
}

/** The same where a module is, or may be, loaded from `file`: of one that does not parse the place, and the code below. */
export async function loadFailure(what: string, file: string | undefined, error: unknown): Promise<ClusterError> {
  const fault = await findSyntaxFault(error, file);
  if (!fault) return failure(what, error);
  return new ClusterError('ERR_CLUSTER_PLUGIN', `${what}: ${fault.place}: ${fault.message}`, { cause: error, detail: fault.frame });
}

/** `missed`: what the plugin has asked for among the hooks, and is none of them. */
export async function applyFailure(
  { plugin, file }: { plugin: { name: string }; file?: string }, error: unknown, missed: readonly string[], hooks: readonly string[],
): Promise<ClusterError> {
  if (error instanceof ClusterError) return error;
  const what = `plugin "${plugin.name}" failed in apply`;
  const wrong = error instanceof TypeError && error.message.includes('undefined') ? missed.at(-1) : undefined;
  if (wrong === undefined) return loadFailure(what, file, error);
  const near = nearest(wrong, hooks);
  const hint = near ? `, did you mean "${near}"?` : '; "framework hooks" lists them';
  return failure(what, Object.assign(error as Error, { message: `there is no hook "${wrong}"${hint}` }));
}

const foreignFrames = ({ stack = '' }: Error): string => stack.split('\n')
  .filter((line) => /^ +at /.test(line) && !line.includes(`${packageRoot}${path.sep}`) && !line.includes('node:'))
  .map((line) => line.replaceAll(/\?fresh=\d+/g, '')).join('\n');

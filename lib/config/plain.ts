import type { AsyncLocalStorage } from 'node:async_hooks';
import { ClusterError, messageOf } from '../kit/errors.js';
import type { Label, Path } from './check.js';
import { isPlugin } from './schema.js';

/** No configuration is so deep, or so large; what YAML's anchors make of a few lines may be. */
const DEEPEST = 50;
const MOST = 100_000;

/**
 * What a file or a caller gave, copied once, so that nothing of it can surprise those who walk through it: no getter that
 * throws, no circle, no text that ends at a NUL for the system. Plugins, and instances of classes among their options, stay
 * what they are.
 * @throws ClusterError ERR_CLUSTER_CONFIG with the place of it
 */
export function plainCopy(given: unknown, label: Label): unknown {
  let count = 0;
  const refused = (path: Path, what: string, cause?: unknown) =>
    new ClusterError('ERR_CLUSTER_CONFIG', `${label(path)}: ${what}`, { cause });
  const above: unknown[] = [];

  const copy = (value: unknown, path: Path): unknown => {
    if (++count > MOST) throw refused([], `expected at most ${MOST} values, found more`);
    if (typeof value === 'string' && value.includes('\0')) throw refused(path, 'expected a text without NUL');
    if (typeof value !== 'object' || value === null) return value;
    if (above.includes(value)) throw refused(path, 'goes round in a circle: it holds itself');
    if (path.length > DEEPEST) throw refused(path.slice(0, 3), `expected at most ${DEEPEST} levels, found more`);
    const isList = Array.isArray(value);
    if (!isList && isOpaque(value, path)) return value;
    above.push(value);
    const entries = (isList ? [...value.keys()] : Object.keys(value)).map((key) => {
      const at = [...path, key];
      if (typeof key === 'string' && key.includes('\0')) throw refused(path, 'expected keys without NUL');
      return [key, copy(read(value, key, at), at)] as const;
    });
    above.pop();
    return isList ? entries.map(([, one]) => one) : Object.fromEntries(entries);
  };
  const isOpaque = (value: object, path: Path): boolean => {
    try {
      return !isPlain(value) || isPlugin(value);
    } catch (error) {
      throw refused(path, `cannot be read: ${textOf(error)}`, error);
    }
  };
  const read = (value: object, key: string | number, path: Path): unknown => {
    try {
      return (value as Record<string | number, unknown>)[key];
    } catch (error) {
      throw refused(path, `cannot be read: ${textOf(error)}`, error);
    }
  };

  try {
    return copy(given, []);
  } catch (error) {
    // A Proxy may throw wherever it is touched.
    throw error instanceof ClusterError ? error : refused([], `cannot be read: ${textOf(error)}`, error);
  }
}

const textOf = (error: unknown): string => messageOf(error).split('\n', 1)[0] as string;

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

type Refuse = (what: string) => never;

/** Who loads something now, where process.exit is called. */
let loading: AsyncLocalStorage<Refuse> | undefined;
let loads = 0;

/**
 * Runs code of the user's that the master loads. Where it would end the process, as what checks an environment does (envalid), it is
 * refused in place of the site: with this error, whether it catches what is thrown there or not. The working directory is put back.
 */
export async function contained<T>(task: () => Promise<T>): Promise<T> {
  const current = loading ??= new (process.getBuiltinModule('node:async_hooks').AsyncLocalStorage)<Refuse>();
  const { exit, abort } = process;
  const dir = workingDir();
  let refuse!: Refuse;
  const refused = new Promise<never>((_, reject) => {
    refuse = (what) => {
      const error = new Error(`it calls process.${what} while it is loaded, which would end the master: it has to throw an error`);
      reject(error);
      throw error;
    };
  });
  refused.catch(() => {});
  if (loads++ === 0) {
    process.exit = (code) => current.getStore()?.(`exit(${code ?? ''})`) ?? exit.call(process, code);
    process.abort = () => current.getStore()?.('abort()') ?? abort.call(process);
    restore = () => Object.assign(process, { exit, abort });
  }
  try {
    return await Promise.race([refused, current.run(refuse, task)]);
  } finally {
    if (--loads === 0) {
      restore();
      // It slows promises down on Node 20 and 22.
      current.disable();
    }
    if (dir !== undefined && workingDir() !== dir) process.chdir(dir);
  }
}

let restore: () => void = () => {};

/** Undefined: somebody has deleted it. */
function workingDir(): string | undefined {
  try {
    return process.cwd();
  } catch {
    return undefined;
  }
}

import * as v from 'valibot';
import { ClusterError, messageOf } from '../kit/errors.js';
import { isObject, show, nearest } from '../kit/misuse.js';
import { ADAPTIVE, isPlugin, type Config } from './schema.js';

export type Path = readonly (string | number)[];
type Schema = v.GenericSchema & {
  type: string;
  entries?: Record<string, Schema>;
  options?: readonly Schema[];
  wrapped?: Schema;
  pipe?: readonly Schema[];
  value?: Schema;
};

/** `plugins["./mine.js"].port`, `import[0]`. */
export const pathText = (path: Path): string => path.reduce<string>((text, key) =>
  typeof key === 'number' ? `${text}[${key}]`
    : /^[\w$-]+$/.test(key) ? (text ? `${text}.${key}` : key)
      : `${text}[${JSON.stringify(key)}]`, '');

/** The schema beneath `optional` and descriptions. */
export function core(schema: Schema | v.GenericSchema): Schema {
  let inner = schema as Schema;
  for (;;) {
    const next = inner.type === 'optional' ? inner.wrapped : inner.pipe?.[0];
    if (!next || next === inner) return inner;
    inner = next;
  }
}

/** The schema of one key, undefined where the path leads out of what the schema knows. */
export function schemaAt(schema: v.GenericSchema, path: Path): v.GenericSchema | undefined {
  let here: Schema | undefined = core(schema);
  for (const key of path) {
    const shape: Schema | undefined = here?.type === 'union' ? here.options?.find(({ entries }) => entries) : here;
    const next: Schema | undefined = shape?.entries?.[key] ?? shape?.value;
    here = next && core(next);
  }
  return here;
}

/** Names whose value is nobody's business; `key` alone is a file (https.key), or the name of a cookie. */
const SECRET = new RegExp('secret|passw|passphrase|passcode|\\bpwd\\b|token|credential|authorization|jwt|dsn|salt|signing|encryption'
  + '|(?:api|private|access)[-_]?keys?', 'i');
/** The same among variables of an environment, whose names are short. */
const SECRET_VARIABLE = /(?:^|_)(?:KEYS?|PASS|PW|PWD|PAT|AUTH|COOKIE|CERT|SK|PRIVATE)(?:$|_)|PGPASS/i;

/** Whether what stands there is not to be shown. */
export const isSecret = (path: Path, isVariable = path[0] === 'env'): boolean => path.some((key) =>
  typeof key === 'string' && (SECRET.test(key) || (isVariable && SECRET_VARIABLE.test(key))));

/** A value in a message; of a secret what kind it is. */
const shown = (path: Path, value: unknown): string => {
  const named = path[0] === 'plugins' ? path.slice(2) : path;
  if (!isSecret(named, path[0] === 'env') || value === undefined || value === null) return show(value);
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;
};

interface Mistake {
  path: Path;
  text: string;
}

/** What valibot does not say: every unknown key (it stops at the first), and a list where an object belongs (it lets it pass). */
function shapeMistakes(schema: Schema, value: unknown, path: Path): Mistake[] {
  const { type, entries, value: inner, message } = core(schema) as Schema & { message?: string };
  if (type !== 'strict_object' && type !== 'record') return [];
  if (Array.isArray(value)) return [{ path, text: `expected ${message ?? 'an object'}, found ${shown(path, value)}` }];
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, child]) => {
    const known = entries ? (Object.hasOwn(entries, key) ? entries[key] : undefined) : inner;
    if (known) return shapeMistakes(known, child, [...path, key]);
    const names = Object.keys(entries ?? {});
    const meant = nearest(key, names);
    return [{ path: [...path, key], text: `unknown key${meant ? `, did you mean "${meant}"?` : `; known are ${names.join(', ')}`}` }];
  });
}

function mistakes(schema: v.GenericSchema, value: unknown): Mistake[] {
  // Most starts have no variable, no flag and no file; a run through the schema costs them a millisecond.
  if (isObject(value) && Object.keys(value).length === 0) return [];
  const found = shapeMistakes(schema as Schema, value, []);
  const seen = new Set(found.map(({ path }) => pathText(path)));
  for (const issue of v.safeParse(schema, value).issues ?? []) {
    const path = (issue.path ?? []).map((item) => (item as { key: string | number }).key);
    const name = pathText(path);
    if (seen.has(name) || (issue.type === 'strict_object' && issue.expected === 'never')) continue;
    seen.add(name);
    if (issue.type === 'strict_object' && issue.input === undefined) {
      // A slip of the keyboard, which has its own line.
      const place = (at: Path): string => pathText(at.slice(0, -1));
      const beside = ({ path: other }: Mistake): boolean => other.length === path.length && place(other) === place(path);
      if (found.some(beside)) continue;
      const { message = issue.message } = (schemaAt(schema, path) ?? {}) as { message?: string };
      found.push({ path, text: `expected ${message}, found nothing` });
      continue;
    }
    const shape = issue.type === 'union' && isObject(issue.input) ? shapeAt(schema, path) : undefined;
    if (shape) {
      found.push(...mistakes(shape, issue.input).map((one) => ({ ...one, path: [...path, ...one.path] })));
      continue;
    }
    const meant = issue.type === 'picklist' && typeof issue.input === 'string' ? nearest(issue.input, choices(schema, path)) : undefined;
    found.push({ path, text: `expected ${issue.message}, found ${shown(path, issue.input)}${meant ? `, did you mean "${meant}"?` : ''}` });
  }
  return found;
}

/** What an object is to be, where something else is allowed as well. */
const shapeAt = (schema: v.GenericSchema, path: Path): v.GenericSchema | undefined =>
  (schemaAt(schema, path) as { options?: readonly v.GenericSchema[] } | undefined)?.options?.find(({ type }) => type === 'strict_object');

const choices = (schema: v.GenericSchema, path: Path): readonly string[] =>
  (schemaAt(schema, path) as { options?: readonly string[] } | undefined)?.options ?? [];

/** How a message names the place of a mistake: `.clusterrc: workers`, `--workers`, `CLUSTER_WORKERS`. */
export type Label = (path: Path) => string;

export const inFile = (file: string): Label => (path) => path.length ? `${file}: ${pathText(path)}` : file;

/** One line for each mistake; none when all is well. */
export const check = (schema: v.GenericSchema, value: unknown, label: Label): string[] =>
  mistakes(schema, value).map(({ path, text }) => `${label(path)}: ${text}`);

/** @throws ClusterError ERR_CLUSTER_CONFIG, a line for each mistake. */
export function refuse(lines: readonly string[]): void {
  if (lines.length) throw new ClusterError('ERR_CLUSTER_CONFIG', lines.join('\n'));
}

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

/** How many workers there may be, and how long (ms) little must be asked of all before one is taken away. */
export interface WorkerRange {
  min: number;
  max: number;
  quiet: number;
}

/** Undefined where the number of workers is said, and does not follow the load. */
export const workerRange = ({ plugins: { [ADAPTIVE]: range } }: Pick<Config, 'plugins'>): WorkerRange | undefined =>
  typeof range === 'object' && typeof range.max === 'number' ? range as unknown as WorkerRange : undefined;

/** So many workers there are at most, by themselves. */
export const mostWorkers = (config: Pick<Config, 'plugins' | 'workers'>): number => workerRange(config)?.max ?? config.workers;

/** How many workers wait, of all together or for each slot. */
export const standbys = ({ standby }: Pick<Config, 'standby'>): { count: number; perSlot: boolean } =>
  typeof standby === 'number' ? { count: standby, perSlot: false } : standby;

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
  const keys: (keyof Config)[] = ONCE.filter((key) => !sameValue(read[key], inForce[key]));
  const options = Object.keys({ ...inForce.plugins, ...read.plugins }).filter((name) => name !== 'standby' && name !== ADAPTIVE)
    .flatMap((name) => differing(optionsOf(inForce.plugins[name]), optionsOf(read.plugins[name]), ['plugins', name]));
  // With none before there is nobody to make them; how many is asked each time.
  if (!inForce.plugins.standby && read.plugins.standby) keys.push('standby');
  const waiting = [...keys.map((key) => pathText([key])), ...options].map((key) => `${key}: takes effect at a restart`);
  const [range, before] = [workerRange(read), workerRange(inForce)];
  if (Boolean(range) !== Boolean(before)) waiting.push('workers: takes effect at a restart');
  else if (!range && read.workers !== inForce.workers && read.workers !== workers) {
    waiting.push(`workers: takes effect at a restart; "scale ${read.workers}" does it now`);
  }
  const rotates = inForce.log.rotate !== undefined;
  if ((read.log.rotate !== undefined) !== rotates) waiting.push('log.rotate: takes effect at a restart');
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

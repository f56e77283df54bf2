import { isObject } from '../kit/misuse.js';
import { pathText, type Path } from './check.js';
import { profileSchema, type Config } from './schema.js';

/** Where a value of the configuration comes from. */
export interface Origin {
  from: 'flag' | 'env' | 'profile' | 'file' | 'inline' | 'extends' | 'framework' | 'default' | 'hook';
  /** The file, the flag or the variable. */
  where?: string;
  /** How a number came of the word that is written there: `auto: a quota of 1.5 processors`. */
  counted?: string;
  /** The text in whose place it stands, where variables were filled in: `${PORT:-3000}`. */
  written?: string;
  /** A path, or several, as written, where the configuration has it absolute; of a plugin its key. */
  as?: unknown;
}
/** By the path of the value: `log.level`. */
export type Provenance = Record<string, Origin>;

type Values = Record<string, unknown>;

/** Values from one source, with the name of the source for each of them. */
export interface Layer {
  values: Values;
  origin: (path: Path) => Origin;
}

/** Lays layers over one another, the last one on top: objects key by key, everything else as a whole. */
export function mergeLayers(layers: readonly Layer[]): { values: Values; provenance: Provenance } {
  const values: Values = {};
  const provenance: Provenance = {};
  for (const { values: upper, origin } of layers) lay(values, upper, [], origin, provenance);
  return { values, provenance };
}

function lay(lower: Values, upper: Values, path: Path, origin: Layer['origin'], provenance: Provenance): void {
  for (const [key, value] of Object.entries(upper)) {
    if (value === undefined) continue;
    const here = [...path, key];
    const existing = Object.hasOwn(lower, key) ? lower[key] : undefined;
    // `--sticky` switches a plugin on; what a file said about its options still holds.
    if (path[0] === 'plugins' && path.length === 1 && value === true && isPlain(existing)) continue;
    if (isPlain(value)) {
      const target = isPlain(existing) ? existing : {};
      if (target !== existing) {
        forget(provenance, here);
        define(lower, key, target);
        if (Object.keys(value).length === 0) provenance[pathText(here)] = origin(here);
      }
      lay(target, value, here, origin, provenance);
    } else {
      forget(provenance, here);
      define(lower, key, value);
      provenance[pathText(here)] = origin(here);
    }
  }
}

/** An instance of a class among a plugin's options (a URL, a RegExp) is one value, not keys to merge. */
function isPlain(value: unknown): value is Values {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** `__proto__` from a file stays a mere key. */
const define = (target: Values, key: string, value: unknown) =>
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });

const isInside = (inner: string, outer: string): boolean => inner.startsWith(`${outer}.`) || inner.startsWith(`${outer}[`);

function forget(provenance: Provenance, path: Path): void {
  const name = pathText(path);
  for (const known of Object.keys(provenance)) {
    if (known === name || isInside(known, name)) delete provenance[known];
  }
}

/**
 * Where a value comes from: its own origin, that of what it is part of, or that of its first part; of one that is missing,
 * its neighbour's.
 */
export function originOf(provenance: Provenance, path: Path): Origin {
  for (let length = path.length; length > 0; length--) {
    const name = pathText(path.slice(0, length));
    const origin = provenance[name] ?? provenance[Object.keys(provenance).find((known) => isInside(known, name)) ?? ''];
    if (origin) return origin;
  }
  return { from: 'default' };
}

/** Somebody has said so: a default may give way to what the app does by itself. */
export const isNamed = ({ config, provenance }: { config: Config; provenance: Provenance }, [key]: [keyof Config]): boolean =>
  config[key] !== undefined && originOf(provenance, [key]).from !== 'default';

/** A path as it was written, and where that leads, for a message: `./app.js (/srv/web/app.js)`. */
export function asWritten(provenance: Provenance, at: Path, full: string): string {
  const { as } = originOf(provenance, at);
  const written: unknown = Array.isArray(as) ? as[at.at(-1) as number] : as;
  return typeof written === 'string' && written !== full ? `${written} (${full})` : full;
}

/** Names the place where a value was written. */
export function whereWritten(provenance: Provenance, place: Path): string {
  const { from, where, as } = originOf(provenance, place);
  const at = place[0] === 'plugins' && place.length > 1 && typeof as === 'string' ? ['plugins', as, ...place.slice(2)] : place;
  if (from === 'hook') return `hook configResolved: ${pathText(at)}`;
  if (from === 'flag' || from === 'env') return where ?? pathText(at);
  if (from === 'profile') return `${where}.${pathText(at)}`;
  return where ? `${where}: ${pathText(at)}` : from === 'inline' ? `options: ${pathText(at)}` : pathText(at);
}

export interface FlatValue extends Origin {
  path: string;
  value: unknown;
}

/** Every value of a configuration with its path and where it comes from, in the order of the schema. */
export function flatten({ config, provenance }: { config: Config; provenance: Provenance }): FlatValue[] {
  const walk = (value: unknown, path: Path): FlatValue[] => {
    if (isObject(value) && Object.keys(value).length > 0) {
      return Object.entries(value).flatMap(([key, inner]) => walk(inner, [...path, key]));
    }
    const { from, where, counted, written } = originOf(provenance, path);
    return value === undefined ? [] : [{
      path: pathText(path), value, from, ...(where === undefined ? {} : { where }), ...(counted === undefined ? {} : { counted }),
      ...(written === undefined ? {} : { written }),
    }];
  };
  const values = config as unknown as Values;
  return Object.keys(profileSchema.entries).flatMap((key) => walk(values[key], [key]));
}

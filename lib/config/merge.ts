import { pathText, type Path } from './check.js';

export interface Origin {
  from: 'flag' | 'env' | 'profile' | 'file' | 'inline' | 'extends' | 'framework' | 'default' | 'hook';
  /** The file, the flag or the variable. */
  where?: string;
}
export type Provenance = Record<string, Origin>;

/** Values from one source, with the name of the source for each of them. */
export interface Layer {
  values: Record<string, unknown>;
  origin: (path: Path) => Origin;
}

/** Lays layers over one another, the last one on top: objects key by key, everything else as a whole. */
export function mergeLayers(layers: readonly Layer[]): { values: Record<string, unknown>; provenance: Provenance } {
  const values: Record<string, unknown> = {};
  const provenance: Provenance = {};
  for (const { values: upper, origin } of layers) lay(values, upper, [], origin, provenance);
  return { values, provenance };
}

function lay(lower: Record<string, unknown>, upper: Record<string, unknown>, path: Path, origin: Layer['origin'], provenance: Provenance): void {
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
function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** `__proto__` from a file stays a mere key. */
const define = (target: Record<string, unknown>, key: string, value: unknown) =>
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });

const isInside = (inner: string, outer: string): boolean => inner.startsWith(`${outer}.`) || inner.startsWith(`${outer}[`);

function forget(provenance: Provenance, path: Path): void {
  const name = pathText(path);
  for (const known of Object.keys(provenance)) {
    if (known === name || isInside(known, name)) delete provenance[known];
  }
}

/** Where a value comes from: its own origin, that of what it is part of, or that of its first part; of one that is missing, its neighbour's. */
export function originOf(provenance: Provenance, path: Path): Origin {
  for (let length = path.length; length > 0; length--) {
    const name = pathText(path.slice(0, length));
    const origin = provenance[name] ?? provenance[Object.keys(provenance).find((known) => isInside(known, name)) ?? ''];
    if (origin) return origin;
  }
  return { from: 'default' };
}

import { isObject, pathText, type Path } from './check.js';
import type { LoadedConfig, Origin } from './load.js';
import { originOf } from './merge.js';
import { profileSchema } from './schema.js';

export interface FlatValue extends Origin {
  path: string;
  value: unknown;
}

/** Every value of a configuration with its path and where it comes from, in the order of the schema. */
export function flatten({ config, provenance }: Pick<LoadedConfig, 'config' | 'provenance'>): FlatValue[] {
  const walk = (value: unknown, path: Path): FlatValue[] => {
    if (isObject(value) && Object.keys(value).length > 0) {
      return Object.entries(value).flatMap(([key, inner]) => walk(inner, [...path, key]));
    }
    return value === undefined ? [] : [{ path: pathText(path), value, ...originOf(provenance, path) }];
  };
  const values = config as unknown as Record<string, unknown>;
  return Object.keys(profileSchema.entries).flatMap((key) => walk(values[key], [key]));
}

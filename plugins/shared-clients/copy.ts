import { deserialize, serialize } from 'node:v8';

/**
 * What arrives when a value goes to another process: nobody changes what others have. Errors are handed on as they are, as those
 * who catch one look at its class.
 */
export function copy<T>(value: T): T {
  if ((typeof value !== 'object' || value === null) && typeof value !== 'function' && typeof value !== 'symbol') return value;
  return value instanceof Error ? value : deserialize(serialize(value)) as T;
}

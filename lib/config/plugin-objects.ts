import type { Plugin } from '../api/plugin.js';
import { isPlugin, type AnyPlugin } from './schema.js';

/**
 * Takes plugin objects out of a layer's `plugins`, by name, and leaves a map of plain data.
 * @returns what is wrong with them, a line each
 */
export function separatePlugins(plugins: unknown, objects: Record<string, Plugin>): { map: Record<string, unknown>; mistakes: string[] } {
  const map: Record<string, unknown> = {};
  const mistakes: string[] = [];
  const take = (given: AnyPlugin, options: unknown, key?: string) => {
    try {
      const plugin = typeof given === 'function' ? new given() : given;
      const name = key ?? plugin.name;
      if (typeof name !== 'string' || !name) return void mistakes.push('plugins: expected a plugin with a name, found one without');
      objects[name] = plugin;
      map[name] = options;
    } catch (error) {
      mistakes.push(`plugins: ${key ?? ((given as { name?: string }).name || 'a class')} cannot be made: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  if (Array.isArray(plugins)) {
    for (const item of plugins as (AnyPlugin | [AnyPlugin, unknown])[]) {
      if (Array.isArray(item)) take(item[0], item[1]);
      else take(item, true);
    }
  } else {
    for (const [key, value] of Object.entries((plugins ?? {}) as Record<string, unknown>)) {
      if (isPlugin(value)) take(value, true, key);
      else map[key] = value;
    }
  }
  return { map, mistakes };
}

import path from 'node:path';
import { messageOf } from '../kit/errors.js';
import { isObject, nearest, show } from '../kit/misuse.js';
import type { Path } from './check.js';
import type { ConfigFile } from './files.js';
import { isPath, resolveModule } from './modules.js';
import { isPlugin, pluginDefaults, type AnyPlugin, type PluginObject } from './schema.js';

/** Plugin objects by their key in `plugins`. */
export type PluginObjects = Record<string, PluginObject>;

/** What a plugin object may have. A class may have whatever it needs. */
export const PLUGIN_KEYS: readonly string[] = ['name', 'schema', 'jsonSchema', 'engines', 'needs', 'before', 'after', 'commands', 'apply'];

/** The plugins of this name come with us, on or off. */
export const isBuiltIn = (name: string): boolean => Object.hasOwn(pluginDefaults('start'), name);

/** What is wrong with a plugin, after "expected"; undefined: nothing that can be seen before it is applied. */
export function pluginFault(plugin: object): string | undefined {
  const { name } = plugin as { name?: unknown };
  if (name === undefined || name === '') return 'expected a plugin with a name, found one without';
  if (typeof name !== 'string') return `expected a text as the plugin's name, found ${show(name)}`;
  const wrong = relationFault(plugin) ?? commandFault(plugin) ?? schemaFault(plugin);
  if (wrong !== undefined) return `plugin "${name}": ${wrong}`;
  // What a module exports beside its plugin is its own business.
  const prototype: unknown = Object.getPrototypeOf(plugin);
  const isLiteral = prototype === Object.prototype || prototype === null;
  if (!isLiteral || Object.prototype.toString.call(plugin) === '[object Module]' || '__esModule' in plugin) return undefined;
  const unknown = Object.keys(plugin).find((key) => !PLUGIN_KEYS.includes(key));
  if (unknown === undefined) return undefined;
  const near = nearest(unknown, PLUGIN_KEYS);
  return `plugin "${name}" has an unknown key "${unknown}"${near ? `, did you mean "${near}"?` : `; known are ${PLUGIN_KEYS.join(', ')}`}`;
}

function relationFault(plugin: object): string | undefined {
  for (const key of ['needs', 'before', 'after'] as const) {
    const given = (plugin as Record<string, unknown>)[key];
    if (given === undefined || (Array.isArray(given) && given.every((one) => typeof one === 'string' && one !== ''))) continue;
    return `expected a list of plugins' names as \`${key}\`, found ${show(given)}`;
  }
  return undefined;
}

/** As it is typed. */
const WORD = /^[a-z][a-z0-9]*(?:[-:][a-z0-9]+)*$/;

function commandFault({ commands }: { commands?: unknown }): string | undefined {
  if (commands === undefined) return undefined;
  if (!isObject(commands)) return `expected an object of commands, found ${show(commands)}`;
  for (const [name, command] of Object.entries(commands)) {
    if (!WORD.test(name)) return `expected a command such as "migrate", found ${show(name)}`;
    const { description, load } = (command ?? {}) as Record<string, unknown>;
    if (typeof description === 'string' && typeof load === 'function') continue;
    return `expected { description, load } as the command "${name}", found ${show(command)}`;
  }
  return undefined;
}

function schemaFault({ jsonSchema }: { jsonSchema?: unknown }): string | undefined {
  return jsonSchema === undefined || isObject(jsonSchema) ? undefined : `expected an object as \`jsonSchema\`, found ${show(jsonSchema)}`;
}

/** The instance that a key names: `./limiter.js#api` is the plugin of `./limiter.js` under the name `limiter#api`. */
export function instanceIn(key: string): { specifier: string; instance: string } | undefined {
  const [, specifier, instance] = /^(.+)#([\w.-]+)$/.exec(key) ?? [];
  return specifier === undefined || instance === undefined ? undefined : { specifier, instance };
}

/** How a message names a place in the layer that is read. */
type Where = (path: Path) => string;

/**
 * Takes plugin objects out of a layer's `plugins`, by name, and leaves a map of plain data.
 * @returns what is wrong with them, a line each
 */
export function separatePlugins(
  plugins: unknown, objects: PluginObjects, where: Where,
): { map: Record<string, unknown>; mistakes: string[] } {
  const map: Record<string, unknown> = {};
  const mistakes: string[] = [];
  const places = new Map<string, Path>();
  const wrong = (at: Path, what: string) => { mistakes.push(`${where(at)}: ${what}`); };
  const take = (given: AnyPlugin, options: unknown, at: Path, key?: string) => {
    try {
      const plugin = typeof given === 'function' ? new given() : given;
      const fault = pluginFault(plugin);
      if (fault !== undefined) return wrong(at, fault);
      const name = key ?? plugin.name;
      const first = places.get(name);
      if (isBuiltIn(name)) return wrong(at, `a plugin of one's own cannot have the name of the built-in plugin "${name}"`);
      if (first) return wrong(at, `a second plugin with the name "${name}", which ${where(first)} has: one of them needs another`);
      places.set(name, at);
      objects[name] = plugin;
      map[name] = options;
    } catch (error) {
      const shown = typeof given === 'function' ? given.name || 'a class' : 'a plugin';
      wrong(at, `${shown} cannot be made: ${messageOf(error)}`);
    }
  };
  if (Array.isArray(plugins)) {
    for (const [index, item] of (plugins as (AnyPlugin | [AnyPlugin, unknown])[]).entries()) {
      const at = ['plugins', index];
      if (Array.isArray(item)) take(item[0], item[1], at);
      else take(item, true, at);
    }
  } else {
    for (const [key, value] of Object.entries((plugins ?? {}) as Record<string, unknown>)) {
      if (isPlugin(value)) take(value, true, ['plugins', key], key);
      else map[key] = value;
    }
  }
  return { map, mistakes };
}

/** Names that a file gives a plugin under anywhere, in profiles of other environments too: one that is off here may be on there. */
function namedIn({ file, values }: ConfigFile): string[] {
  const absolute = (key: string) => isPath(key) ? path.resolve(path.dirname(file), key) : key;
  const names = (plugins: unknown): string[] => Array.isArray(plugins)
    ? plugins.flat().map((plugin) => String((plugin as { name?: unknown } | null)?.name))
    : Object.entries(plugins ?? {}).filter(([, value]) => value !== false).map(([key]) => absolute(key));
  return [values.plugins, ...Object.values(values.profiles ?? {}).map(({ plugins }) => plugins)].flatMap(names);
}

/** What is known of plugins, for a message about one that is not. */
interface Known {
  objects: PluginObjects;
  /** Of others, where they were asked for them. */
  names: readonly string[];
  files: readonly ConfigFile[];
  dir: string;
}

/** A line for each plugin that is switched off and is none: what was meant stays on. */
export function offForNothing(
  plugins: Readonly<Record<string, unknown>>, { objects, names, files, dir }: Known, where: Where,
): string[] {
  const off = Object.keys(plugins).filter((key) => plugins[key] === false && !isBuiltIn(key) && !Object.hasOwn(objects, key));
  if (off.length === 0) return [];
  const known = new Set(files.flatMap(namedIn));
  const isThere = (key: string) => [key, instanceIn(key)?.specifier ?? key].some((one) => resolveModule(one, dir) !== undefined);
  return off.filter((key) => !known.has(key) && !isThere(key)).map((key) => {
    const near = nearest(key, [...Object.keys(pluginDefaults('start')), ...Object.keys(objects), ...names, ...known]);
    return `${where(['plugins', key])}: no plugin has this name, so there is none to switch off${near ? `; did you mean "${near}"?` : ''}`;
  });
}

import { statSync } from 'node:fs';
import type { PluginCommand } from '../lib/api/plugin.js';
import { loadConfig } from '../lib/config/load.js';
import { isBuiltIn } from '../lib/config/plugin-objects.js';
import { ClusterError } from '../lib/kit/errors.js';
import { instances } from '../lib/master/plugins/check.js';
import { isCommandClass, type Command } from './command.js';
import type { CommandClass } from './common-bin.js';

/** A command that a plugin brings, and whose it is. */
export interface Brought extends PluginCommand {
  plugin: string;
  /** The module of the plugin. */
  file?: string;
}

/**
 * The commands of an app's plugins, a framework's among them, by name; nothing of them is loaded. The app is the first directory
 * or file among `words`, else that of the working directory.
 * @throws ClusterError ERR_CLUSTER_PLUGIN: two bring the same one, or one of `own`; what loadConfig throws
 */
export async function commandsOfPlugins(
  words: readonly string[], own: ReadonlySet<string>, { beneath }: Command,
): Promise<Map<string, Brought>> {
  const target = words.find((word) => !word.startsWith('-') && statSync(word, { throwIfNoEntry: false }));
  const loaded = await loadConfig({ ...beneath, target });
  const found = new Map<string, Brought>();
  for (const { file, plugin: { name: plugin, commands = {} } } of await instances(loaded, (key) => !isBuiltIn(key))) {
    for (const [name, command] of Object.entries(commands)) {
      // Two of the same plugin bring it once.
      if (found.get(name)?.plugin.split('#')[0] === plugin.split('#')[0]) continue;
      const other = own.has(name) ? 'the command line has' : found.has(name) ? `plugin "${found.get(name)?.plugin}" brings` : undefined;
      if (other) throw new ClusterError('ERR_CLUSTER_PLUGIN', `plugin "${plugin}" brings the command "${name}", which ${other} already`);
      found.set(name, { ...command, plugin, file });
    }
  }
  return found;
}

/** Its class. @throws ClusterError ERR_CLUSTER_PLUGIN: it cannot be loaded, or is none */
export async function classOf(name: string, { plugin, file, load }: Brought): Promise<CommandClass> {
  let value: unknown;
  try {
    value = await load();
  } catch (error) {
    if (error instanceof ClusterError) throw error;
    const { loadFailure } = await import('../lib/master/plugins/mistakes.js');
    throw await loadFailure(`the command "${name}" of plugin "${plugin}" cannot be loaded`, file, error);
  }
  // A module, whose default export it is; of CommonJS one step further in.
  for (let step = 0; step < 2 && typeof value === 'object' && value !== null && 'default' in value; step++) value = value.default;
  if (isCommandClass(value)) return value;
  throw new ClusterError('ERR_CLUSTER_PLUGIN',
    `the command "${name}" of plugin "${plugin}": expected a class that extends Command of hatchery/cli`);
}

/** What is wrong with an app whose plugins might know a word; undefined: there is no app, or nothing to say. */
export function unreadable(error: unknown): ClusterError | undefined {
  return error instanceof ClusterError && error.code !== 'ERR_CLUSTER_APP_NOT_FOUND' ? error : undefined;
}

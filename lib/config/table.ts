import * as v from 'valibot';
import { core } from './check.js';
import { configSchema, pluginDefaults } from './schema.js';

/** What is more than the schema's own default: it depends on the machine, the app or the command. */
const SHOWN: Readonly<Record<string, string>> = {
  app: 'found', agent: 'found', title: 'package name', host: 'all addresses', 'log.level': '`"info"`',
};

/** The Markdown table of every key, its default, what is allowed and what it does. */
export function configTable(): string {
  return ['| key | default | allowed | |', '|---|---|---|---|', ...rows(configSchema, '')].join('\n');
}

function rows(schema: v.GenericSchema, prefix: string): string[] {
  return Object.entries(core(schema).entries ?? {}).flatMap(([key, entry]) => {
    const name = prefix + key;
    const { default: byItself, wrapped } = entry as unknown as { default?: unknown; wrapped: v.GenericSchema };
    const inner = rows(wrapped, `${name}.`);
    const shown = SHOWN[name] ?? (name === 'plugins' ? builtInPlugins() : byItself === undefined ? 'none' : `\`${JSON.stringify(byItself)}\``);
    const { message = 'an object of plugin names, or a list of plugins' } = core(wrapped) as { message?: string };
    const cells = [`\`${name}\``, inner.length ? '' : shown, message, v.getDescription(wrapped) ?? ''];
    return [`| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`, ...inner];
  });
}

const builtInPlugins = (): string => Object.entries(pluginDefaults('start')).filter(([, on]) => on).map(([name]) => `\`${name}\``).join(', ');

import { toJsonSchema, type JsonSchema } from '@valibot/to-json-schema';
import * as v from 'valibot';
import { core } from './check.js';
import { configSchema, pluginDefaults } from './schema.js';

/** What else is made of the schema, at build time. Nothing at run time loads this module. */

/** The JSON Schema of a configuration file, for editors; `options`: the schemas of plugins' options, by name. */
export function jsonSchema(options: Readonly<Record<string, v.GenericSchema>> = {}): JsonSchema {
  const plugins = pluginsSchema(options);
  const { $schema, ...schema } = toJsonSchema(configSchema, {
    typeMode: 'input',
    // A plugin object cannot be written in JSON, an object of options can.
    errorMode: 'ignore',
    overrideSchema: ({ valibotSchema, jsonSchema }) => {
      switch (valibotSchema.type) {
        case 'custom': return { type: 'object' };
        case 'lazy': return plugins;
        case 'union': return withoutRepeats(jsonSchema);
        default: return undefined;
      }
    },
  });
  // Only the map of plugins, written out above.
  delete schema.$defs;
  return { $schema, title: 'hatchery', description: 'Configuration of a hatchery cluster (.clusterrc)', ...schema };
}

function pluginsSchema(options: Readonly<Record<string, v.GenericSchema>>): JsonSchema {
  const boolean: JsonSchema = { type: 'boolean' };
  const known = Object.entries(options).map(([name, schema]): [string, JsonSchema] => [name, { anyOf: [boolean, optionsSchema(schema)] }]);
  return {
    type: 'object',
    properties: Object.fromEntries(known),
    additionalProperties: { anyOf: [{ type: 'boolean' }, { type: 'object' }] },
  };
}

/** What is checked by code, and not by a form, may be anything. */
function optionsSchema(schema: v.GenericSchema): JsonSchema {
  const written = toJsonSchema(schema, {
    typeMode: 'input',
    errorMode: 'ignore',
    overrideSchema: ({ valibotSchema, jsonSchema }) => {
      if (valibotSchema.type === 'custom' || valibotSchema.type === 'lazy') return {};
      return valibotSchema.type === 'union' ? withoutRepeats(jsonSchema) : undefined;
    },
  });
  delete written.$schema;
  delete written.$defs;
  return written;
}

function withoutRepeats(schema: JsonSchema): JsonSchema {
  const seen = new Set<string>();
  const anyOf = schema.anyOf?.filter((option) => {
    const text = JSON.stringify(option);
    return !seen.has(text) && seen.add(text);
  });
  return anyOf ? { ...schema, anyOf } : schema;
}

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
    const standard = byItself === undefined ? 'none' : `\`${JSON.stringify(byItself)}\``;
    const shown = SHOWN[name] ?? (name === 'plugins' ? builtInPlugins() : standard);
    const { message = 'an object of plugin names, or a list of plugins' } = core(wrapped) as { message?: string };
    const cells = [`\`${name}\``, inner.length ? '' : shown, message, v.getDescription(wrapped) ?? ''];
    return [`| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`, ...inner];
  });
}

const builtInPlugins = (): string => Object.entries(pluginDefaults('start'))
  .filter(([, on]) => on).map(([name]) => `\`${name}\``).join(', ');

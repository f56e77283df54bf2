import { toJsonSchema, type JsonSchema } from '@valibot/to-json-schema';
import { configSchema } from './schema.js';

/** The JSON Schema of a configuration file, for editors. Made at build time; nothing at run time loads this module. */
export function jsonSchema(): JsonSchema {
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

const plugins: JsonSchema = {
  type: 'object',
  additionalProperties: { anyOf: [{ type: 'boolean' }, { type: 'object' }] },
};

function withoutRepeats(schema: JsonSchema): JsonSchema {
  const seen = new Set<string>();
  const anyOf = schema.anyOf?.filter((option) => {
    const text = JSON.stringify(option);
    return !seen.has(text) && seen.add(text);
  });
  return anyOf ? { ...schema, anyOf } : schema;
}

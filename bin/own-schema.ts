import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Plugin } from '../lib/api/plugin.js';
import type { LoadedConfig } from '../lib/config/load.js';
import { isPath } from '../lib/config/modules.js';
import { isBuiltIn } from '../lib/config/plugin-objects.js';
import { packageRoot } from '../lib/kit/package.js';
import { instances } from '../lib/master/plugins/check.js';

type Schema = Record<string, unknown>;
type WithProperties = Schema & { properties: Record<string, Schema> };

/** JSON Schema of a plugin's options; undefined where it says nothing of them, or nothing that can be written so. */
function ofOptions({ jsonSchema, schema }: Plugin<never>): Schema | undefined {
  if (jsonSchema !== undefined) return jsonSchema;
  try {
    return schema?.['~standard'].jsonSchema?.input({ target: 'draft-07' });
  } catch {
    return undefined;
  }
}

/**
 * The JSON Schema of a configuration file, as the package has it, with the options of the plugins of this app: each under the key that
 * its configuration has, which is on or off, or has options.
 */
export async function ownSchema(loaded: LoadedConfig): Promise<object> {
  const whole = JSON.parse(readFileSync(path.join(packageRoot, 'dist/schema.json'), 'utf8')) as WithProperties;
  const own = new Map<string, Schema>();
  for (const { key, plugin } of await instances(loaded, (one) => !isBuiltIn(one))) {
    const options = { ...ofOptions(plugin) };
    delete options.$schema;
    if (Object.keys(options).length > 0) own.set(asWritten(key, loaded.target.realDir), { anyOf: [{ type: 'boolean' }, options] });
  }
  const profile = whole.properties.profiles?.additionalProperties as WithProperties;
  for (const { properties } of [whole, profile]) {
    const plugins = properties.plugins as WithProperties;
    Object.assign(plugins.properties, Object.fromEntries(own));
  }
  return whole;
}

/** A path is absolute once it is loaded. */
const asWritten = (key: string, dir: string): string => {
  if (!isPath(key)) return key;
  const from = path.relative(dir, key).split(path.sep).join('/');
  return from.startsWith('.') ? from : `./${from}`;
};

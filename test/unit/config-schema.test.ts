import assert from 'node:assert/strict';
import test from 'node:test';
import type { GenericSchema } from 'valibot';
import { configSchema, defaults, pluginDefaults } from '../../lib/config/schema.js';
import { configTable, jsonSchema } from '../../lib/config/schema-renderings.js';

interface Described {
  description?: string;
  default?: unknown;
  properties?: Record<string, Described>;
  additionalProperties?: unknown;
  anyOf?: Described[];
}
const schema = jsonSchema() as Described;
const described = (node: Described, path: string): [string, Described][] => Object.entries(node.properties ?? {})
  .flatMap(([key, inner]) => [[path + key, inner] as [string, Described], ...described(inner, `${path}${key}.`)]);

test('the JSON Schema has every key, described', () => {
  const keys = described(schema, '');
  assert.deepEqual(Object.keys(schema.properties ?? {}).sort(), Object.keys(configSchema.entries).sort());
  assert.deepEqual(keys.filter(([, { description }]) => !description).map(([key]) => key), []);
  assert.equal(schema.additionalProperties, false);
  assert.ok(!JSON.stringify(schema).includes('$ref'), 'a reference would hide what stands beside it from editors');
});

test('it has the options of every plugin that comes with us, described, and nothing else is one', async () => {
  const options: Record<string, GenericSchema> = {};
  for (const name of Object.keys(pluginDefaults('start'))) {
    options[name] = (await import(`../../plugins/${name}/options.js`) as { schema: GenericSchema }).schema;
  }
  const { properties = {} } = (jsonSchema(options) as Described).properties?.plugins ?? {};
  assert.deepEqual(Object.keys(properties).sort(), Object.keys(pluginDefaults('start')).sort());
  const forms = Object.entries(properties).map(([name, { anyOf }]) => [name, anyOf?.[1] ?? {}] as const);
  assert.deepEqual(forms.filter(([, { additionalProperties }]) => additionalProperties !== false).map(([name]) => name), []);
  const lost = forms.flatMap(([name, form]) => described(form, `${name}.`)).filter(([, { description }]) => !description);
  assert.deepEqual(lost.map(([key]) => key).filter((key) => key.split('.').length === 2), []);
});

test('its defaults are the ones that are used', () => {
  for (const [key, { default: value }] of Object.entries(schema.properties ?? {})) {
    if (value === undefined || key === 'profiles') continue;
    const used = (defaults as unknown as Record<string, unknown>)[key];
    if (typeof value === 'object' && !Array.isArray(value)) {
      for (const [inner, { default: innerDefault }] of Object.entries(schema.properties?.[key]?.properties ?? {})) {
        assert.deepEqual((used as Record<string, unknown>)[inner], innerDefault, `${key}.${inner}`);
      }
    } else assert.deepEqual(used, value, key);
  }
});

test('the table has a row for every key', () => {
  const rows = [...configTable().matchAll(/^\| `([^`]+)` \|/gm)].map(([, key]) => key);
  assert.deepEqual(rows, described(schema, '').map(([key]) => key));
});

import path from 'node:path';
import * as v from 'valibot';
import { isObject, nearest } from '../kit/misuse.js';
import { check, pathText, plainCopy, schemaAt, type Label, type Path } from './check.js';
import type { ConfigFile } from './files.js';
import { isPath, resolvePath } from './modules.js';
import type { Place } from './place.js';
import { separatePlugins, type PluginObjects } from './plugin-objects.js';
import { whereWritten, type Layer, type Origin } from './provenance.js';
import { A_RANGE, defaults, pluginDefaults, profileSchema } from './schema.js';
import { asNumber } from './variables.js';

export function builtIn(place: Place, command: 'start' | 'dev'): Layer {
  const values = { ...defaults, title: place.name, ...(command === 'dev' ? { workers: 1 } : {}), plugins: pluginDefaults(command) };
  return { values, origin: () => ({ from: 'default' }) };
}

/** A layer and the directory that its relative paths count from. */
export interface WrittenLayer extends Layer {
  dir: string;
}

const ofFile = new Set(['$schema', 'extends', 'profiles']);

/** The files first, then their profiles, the base below what extends it. */
export function fileLayers(chain: readonly ConfigFile[], profile: string): WrittenLayer[] {
  const layer = (
    { file, filled }: ConfigFile, values: Record<string, unknown>, from: Origin['from'], where: string, above: Path = [],
  ): WrittenLayer => ({
    values,
    dir: path.dirname(file),
    origin: (at) => {
      const name = pathText([...above, ...at]);
      // Of a list all of it.
      const written = Object.keys(filled).filter((one) => one === name || one.startsWith(`${name}[`)).map((one) => filled[one]);
      return { from, where, ...(written.length === 0 ? {} : { written: written.join(' ') }) };
    },
  });
  const files = chain.map((link, index) => {
    const values = Object.fromEntries(Object.entries(link.values).filter(([key]) => !ofFile.has(key)));
    return layer(link, values, index === chain.length - 1 ? 'file' : 'extends', link.name);
  });
  const overlays = chain.flatMap((link) => {
    const { profiles } = link.values;
    const overlay = profiles && Object.hasOwn(profiles, profile) ? profiles[profile] : undefined;
    return overlay ? [layer(link, overlay, 'profile', `${link.name}: profiles.${profile}`, ['profiles', profile])] : [];
  });
  return [...files, ...overlays];
}

/** A mistyped `--env` would silently run without its overlay. */
export function unknownProfile(name: string, chain: readonly ConfigFile[]): string[] {
  const known = new Set(chain.flatMap(({ values }) => Object.keys(values.profiles ?? {})));
  if (known.has(name) || ['production', 'development', 'test'].includes(name)) return [];
  const meant = nearest(name, [...known, 'production', 'development', 'test']);
  const where = chain.at(-1)?.name ?? 'the configuration';
  const hint = meant ? `, did you mean "${meant}"?` : known.size ? `; known are ${[...known].join(', ')}` : '';
  return [`--env: no profile "${name}" in ${where}${hint}`];
}

/** Variables of the environment and the keys they set. */
const ENV_KEYS: Readonly<Record<string, Path>> = {
  PORT: ['port'],
  HOST: ['host'],
  CLUSTER_WORKERS: ['workers'],
  CLUSTER_TITLE: ['title'],
  CLUSTER_LOG_LEVEL: ['log', 'level'],
  CLUSTER_LOG_FORMAT: ['log', 'format'],
  CLUSTER_BALANCE: ['balance'],
  CLUSTER_START_TIMEOUT: ['startTimeout'],
  CLUSTER_MEMORY: ['memory'],
  // What a container has otherwise than the same app elsewhere.
  CLUSTER_HEALTH_PORT: ['plugins', 'health-check', 'port'],
  CLUSTER_HEALTH_HOST: ['plugins', 'health-check', 'host'],
  CLUSTER_SHUTDOWN_DELAY: ['plugins', 'graceful-exit', 'shutdownDelay'],
};

const FLAG_NAMES: Readonly<Record<string, string>> = {
  'plugins.sticky-session': '--sticky',
  'plugins.dev-reload': '--no-reload',
  'workers.min': '--workers',
  'workers.max': '--workers',
  profile: '--env',
  args: '--',
};

/** The flag that sets a key: `--start-timeout`, `--https.key`, `--log-level`. */
function flagName(at: Path): string {
  const name = pathText(at.filter((key) => typeof key === 'string'));
  return FLAG_NAMES[name] ?? `--${name.replace(/^log\./, 'log-').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

interface Source extends Layer {
  /** What is wrong with it, a line each. */
  mistakes: string[];
  /** On a command line or in a shell's environment. */
  typed: boolean;
}

/** As a range of workers is typed. */
const typedMistakes = (values: Record<string, unknown>, label: Label): string[] =>
  check(profileSchema, values, label).map((line) => line.replace(A_RANGE, 'a range such as 2-8'));

/** Shells and CI set empty variables where they mean none. */
export function fromEnv(env: NodeJS.ProcessEnv): Source {
  const values: Record<string, unknown> = {};
  const names: Record<string, string> = {};
  for (const [name, at] of Object.entries(ENV_KEYS)) {
    const text = env[name];
    if (!text) continue;
    names[pathText(at)] = name;
    let place = values;
    for (const key of at.slice(0, -1)) place = (place[key] ??= {}) as Record<string, unknown>;
    place[at.at(-1) as string] = coerce(at, text);
  }
  const label: Label = (at) => names[pathText(at)] ?? names[pathText(at.slice(0, 1))] ?? pathText(at);
  return { values, typed: true, origin: (at) => ({ from: 'env', where: label(at) }), mistakes: typedMistakes(values, label) };
}

export function fromFlags(flags: Record<string, unknown>): Source {
  const values = coerceAll(flags, []);
  const mistakes = typedMistakes(values, flagName);
  return { values, typed: true, origin: (at) => ({ from: 'flag', where: flagName(at) }), mistakes };
}

export function fromInline(given: Record<string, unknown>): Source {
  const label: Label = (at) => at.length > 0 ? `options: ${pathText(at)}` : 'options';
  const inline = plainCopy(given, label) as Record<string, unknown>;
  return {
    values: inline,
    typed: false,
    origin: () => ({ from: 'inline' }),
    mistakes: check(profileSchema, inline, label),
  };
}

/** Flags and variables are texts; a key that wants a number gets one, if the text is one; `2-8` is a range of workers. */
function coerce(at: Path, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const range = at[0] === 'workers' ? /^\s*(\d{1,6})-(\d{1,6})\s*$/.exec(value) : null;
  if (range) return { min: Number(range[1]), max: Number(range[2]) };
  // What a plugin's own schema will say is not known here.
  const schema = at[0] === 'plugins' ? v.number() : schemaAt(profileSchema, at);
  return schema ? asNumber(schema, value) : value;
}

function coerceAll(values: Record<string, unknown>, at: Path): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => {
    const here = [...at, key];
    return [key, isObject(value) && here[0] !== 'plugins' ? coerceAll(value, here) : coerce(here, value)];
  }));
}

/** A layer that others can be merged with: its paths absolute, its plugin objects set aside in `objects`. */
export function settle(layer: WrittenLayer, target: string, objects: PluginObjects, mistakes: string[]): WrittenLayer {
  const bases = { written: layer.dir, target };
  const values = absolutePaths(layer.values, bases);
  const origin = (at: Path): Origin => ({ ...layer.origin(at), ...writtenAs(layer.values, values, at, bases) });
  if (values.plugins === undefined) return { ...layer, origin, values };
  const where = (at: Path) => whereWritten({ [pathText(at)]: origin(at) }, at);
  const { map, mistakes: wrong } = separatePlugins(values.plugins, objects, where);
  mistakes.push(...wrong);
  return { ...layer, origin, values: { ...values, plugins: map } };
}

interface Bases {
  /** `app` and `agent` are looked for in the target first, wherever they are named. */
  target: string;
  /** Every other relative path counts from where it is written: a file's directory, the shell's for a flag. */
  written: string;
}

type Rule = (value: unknown, bases: Bases) => unknown;

const onText = (rule: (value: string, bases: Bases) => string): Rule => (value, bases) =>
  typeof value === 'string' ? rule(value, bases) : value;
const inTarget = onText((value, { target, written }) =>
  path.resolve([target, written].find((base) => resolvePath(path.resolve(base, value))) ?? target, value));
const asWritten = onText((value, { written }) => path.resolve(written, value));
/** `./here.js` is a path, `egg` and `tsx/esm` are packages. */
const pathOrPackage = onText((value, { written }) => isPath(value) ? path.resolve(written, value) : value);
const each: Rule = (value, bases) => Array.isArray(value) ? value.map((item) => pathOrPackage(item, bases)) : value;
const onEntries = (change: (entry: [string, unknown], bases: Bases) => [string, unknown]): Rule => (value, bases) =>
  isObject(value) ? Object.fromEntries(Object.entries(value).map((entry) => change(entry, bases))) : value;
const mapValues = (rule: Rule): Rule => onEntries(([key, inner], bases) => [key, rule(inner, bases)]);
const mapKeys = (rule: Rule): Rule => onEntries(([key, inner], bases) => [rule(key, bases) as string, inner]);

const RULES: Readonly<Record<string, Rule>> = {
  app: inTarget,
  agent: inTarget,
  framework: pathOrPackage,
  path: asWritten,
  https: mapValues(asWritten),
  require: each,
  import: each,
  plugins: mapKeys(pathOrPackage),
};

/** A layer with its relative paths made absolute, so that layers from several places can be merged. */
const absolutePaths = (values: Record<string, unknown>, bases: Bases): Record<string, unknown> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) =>
    [key, Object.hasOwn(RULES, key) ? (RULES[key] as Rule)(value, bases) : value]));

const valueAt = (values: unknown, at: Path): unknown =>
  at.reduce<unknown>((inner, key) => (inner as Record<string, unknown> | null | undefined)?.[key], values);

/** What was made absolute, as it was written before. */
function writtenAs(written: Record<string, unknown>, values: Record<string, unknown>, at: Path, bases: Bases): Pick<Origin, 'as'> {
  const [key, name] = at;
  if (typeof key !== 'string' || !Object.hasOwn(RULES, key)) return {};
  if (key === 'plugins') {
    const as = isObject(written.plugins) ? Object.keys(written.plugins).find((one) => pathOrPackage(one, bases) === name) : undefined;
    return as === name ? {} : { as };
  }
  const as = valueAt(written, at);
  return JSON.stringify(as) === JSON.stringify(valueAt(values, at)) ? {} : { as };
}

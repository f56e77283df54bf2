import * as v from 'valibot';
import { check, isObject, pathText, schemaAt, type Label, type Path } from './check.js';
import type { Layer } from './merge.js';
import { profileSchema } from './schema.js';

/** Variables of the environment and the keys they set. */
export const ENV_KEYS: Readonly<Record<string, Path>> = {
  PORT: ['port'],
  HOST: ['host'],
  CLUSTER_WORKERS: ['workers'],
  CLUSTER_TITLE: ['title'],
  CLUSTER_LOG_LEVEL: ['log', 'level'],
  CLUSTER_LOG_FORMAT: ['log', 'format'],
  CLUSTER_BALANCE: ['balance'],
  CLUSTER_START_TIMEOUT: ['startTimeout'],
};

const FLAG_NAMES: Readonly<Record<string, string>> = {
  'plugins.sticky-session': '--sticky',
  'plugins.dev-reload': '--no-reload',
  profile: '--env',
};

/** The flag that sets a key: `--start-timeout`, `--https.key`, `--log-level`. */
export function flagName(path: Path): string {
  const name = pathText(path.filter((key) => typeof key === 'string'));
  return FLAG_NAMES[name] ?? `--${name.replace(/^log\./, 'log-').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

export interface Source extends Layer {
  /** What is wrong with it, a line each. */
  mistakes: string[];
  /** On a command line or in a shell's environment. */
  typed: boolean;
}

/** Shells and CI set empty variables where they mean none. */
export function fromEnv(env: NodeJS.ProcessEnv): Source {
  const values: Record<string, unknown> = {};
  const names: Record<string, string> = {};
  for (const [name, path] of Object.entries(ENV_KEYS)) {
    const text = env[name];
    if (!text) continue;
    names[pathText(path)] = name;
    const [key, inner] = path as [string, string?];
    values[key] = inner ? { ...(values[key] as object | undefined), [inner]: coerce(path, text) } : coerce(path, text);
  }
  const label: Label = (path) => names[pathText(path)] ?? pathText(path);
  return { values, typed: true, origin: (path) => ({ from: 'env', where: label(path) }), mistakes: check(profileSchema, values, label) };
}

export function fromFlags(flags: Record<string, unknown>): Source {
  const values = coerceAll(flags, []);
  return { values, typed: true, origin: (path) => ({ from: 'flag', where: flagName(path) }), mistakes: check(profileSchema, values, flagName) };
}

export function fromInline(inline: Record<string, unknown>): Source {
  return {
    values: inline,
    typed: false,
    origin: () => ({ from: 'inline' }),
    mistakes: check(profileSchema, inline, (path) => `options: ${pathText(path)}`),
  };
}

/** Flags and variables are texts; a key that wants a number gets one, if the text is one. */
function coerce(path: Path, value: unknown): unknown {
  if (typeof value !== 'string' || !/^-?\d+(?:\.\d+)?$/.test(value.trim())) return value;
  const schema = schemaAt(profileSchema, path);
  if (!schema || v.is(schema, value)) return value;
  return v.safeParse(schema, Number(value)).typed ? Number(value) : value;
}

function coerceAll(values: Record<string, unknown>, path: Path): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => {
    const here = [...path, key];
    return [key, isObject(value) && here[0] !== 'plugins' ? coerceAll(value, here) : coerce(here, value)];
  }));
}

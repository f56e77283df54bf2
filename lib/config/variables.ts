import * as v from 'valibot';
import { pathText, schemaAt, type Label, type Path } from './check.js';
import { configSchema, type ConfigGiven, type ConfigInput } from './schema.js';

/** Texts as they were written, by the path of what was made of them. */
export type Filled = Readonly<Record<string, string>>;

/** A configuration with its variables filled in; `mistakes` gets a line for each that is not set. */
export function fillIn(
  given: ConfigInput, env: ConfigGiven['env'], label: Label, mistakes: string[],
): { values: ConfigInput; filled: Filled } {
  const filled: Record<string, string> = {};
  const walk = (value: unknown, at: Path): unknown => {
    if (Array.isArray(value)) return value.map((inner, index) => walk(inner, [...at, index]));
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, walk(inner, [...at, key])]));
    }
    if (typeof value !== 'string' || !value.includes('${')) return value;
    filled[pathText(at)] = value;
    try {
      return valueOf(at, textOf(value, env));
    } catch (error) {
      mistakes.push(`${label(at)}: ${(error as Error).message}`);
      return undefined;
    }
  };
  return { values: walk(given, []) as ConfigInput, filled };
}

/**
 * A text with what `${NAME}` and `${NAME:-default}` stand for, as in a shell; `$${` is `${`. An empty variable counts as none
 * where there is a default, which may hold variables itself.
 */
function textOf(text: string, env: ConfigGiven['env']): string {
  const [before = ''] = text.split('${', 1);
  if (before === text) return text;
  if (before.endsWith('$')) return `${before.slice(0, -1)}\${${textOf(text.slice(before.length + 2), env)}`;
  const end = endOf(text, before.length + 2);
  const [whole, name = '', standard] = /^([A-Za-z_]\w*)(?::-(.*))?$/s.exec(text.slice(before.length + 2, end)) ?? [];
  if (end === -1 || whole === undefined) {
    throw new Error(`expected \${NAME} or \${NAME:-default}, found ${text.slice(before.length, end === -1 ? undefined : end + 1)}; `
      + 'what is no variable is written $${');
  }
  const value = standard === undefined ? env[name] : env[name] || textOf(standard, env);
  if (value === undefined) throw new Error(`the variable ${name} is not set; \${${name}:-default} would give a default`);
  return before + value + textOf(text.slice(end + 1), env);
}

/** Where the brace that is open at `from` closes; -1: nowhere. */
function endOf(text: string, from: number): number {
  let depth = 1;
  for (let at = from; at < text.length; at++) {
    if (text.startsWith('${', at)) depth++;
    if (text[at] === '}' && --depth === 0) return at;
  }
  return -1;
}

const SWITCHES: Readonly<Record<string, boolean>> = { true: true, false: false };

/** A variable is a text; where a key takes numbers and no texts, or true and false, it is one. What a plugin takes its schema says. */
function valueOf(at: Path, text: string): unknown {
  const schema = at.includes('plugins') ? undefined : schemaAt(configSchema, at);
  if (!schema) return text;
  const truth = SWITCHES[text.trim()];
  if (truth !== undefined && v.is(schema, truth)) return truth;
  return asNumber(schema, text);
}

/** The number that a text is, where `schema` takes that and not the text. */
export function asNumber(schema: v.GenericSchema, text: string): unknown {
  if (!/^-?\d+(?:\.\d+)?$/.test(text.trim()) || v.is(schema, text)) return text;
  return v.safeParse(schema, Number(text)).typed ? Number(text) : text;
}

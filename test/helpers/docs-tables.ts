import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { Command } from '../../bin/command.js';
import type { CommandClass } from '../../bin/common-bin.js';
import { configFlags, type Flags } from '../../bin/flags.js';
import { Program } from '../../bin/program.js';
import { childTable } from '../../lib/api/child.js';
import { createHooks, noteOfHook } from '../../lib/api/hooks.js';
import { configTable } from '../../lib/config/schema-renderings.js';
import { ERRORS } from '../../lib/kit/errors.js';
import { serviceTable } from '../../lib/master/life.js';

const PLUGINS = ['graceful-exit', 'health-check', 'sticky-session', 'dev-reload', 'metrics', 'hosts', 'overload'] as const;

/** The commands of `framework` by their names, in the order of its help. */
export const commands: ReadonlyMap<string, CommandClass> = (() => {
  const found = new Map<string, CommandClass>();
  class Listed extends Program {
    override add(name: string, target: CommandClass): void {
      found.set(name, target);
      super.add(name, target);
    }
  }
  new Listed([]);
  return found;
})();

/** The tables that are generated, by their names; each stands in one of the documents. */
export async function docsTables(): Promise<Record<string, string>> {
  const tables: Record<string, string> = {
    config: configTable(),
    hooks: hookTable(),
    errors: errorTable(),
    'start-flags': flagTable(configFlags),
    'command-flags': commandFlagTable(),
    'child-states': stateTable(childTable),
    'service-states': stateTable(serviceTable),
  };
  for (const name of PLUGINS) {
    const { schema } = await import(`../../plugins/${name}/options.js`) as { schema: v.GenericSchema };
    tables[name] = optionTable(schema);
  }
  return tables;
}

/** Where each table stands, between `<!-- table NAME -->` and `<!-- /table -->`. */
export const PAGES: Readonly<Record<string, readonly string[]>> = {
  'docs/configuration.md': ['config'],
  'docs/hooks.md': ['hooks'],
  'docs/plugins.md': PLUGINS,
  'docs/api.md': ['errors'],
  'docs/cli.md': ['start-flags', 'command-flags'],
  'docs/architecture.md': ['child-states', 'service-states'],
};

const between = (name: string): RegExp => new RegExp(`(<!-- table ${name} -->\\n)([\\s\\S]*?)(\\n<!-- /table -->)`);

/** A table as its page shows it; null where the page does not. */
export function shownTable(page: string, name: string): string | null {
  return between(name).exec(readFileSync(page, 'utf8'))?.[2] ?? null;
}

/** The first cells of the table whose head begins with this cell. */
export function rowsUnder(page: string, head: string): string[] {
  const [, body = ''] = readFileSync(page, 'utf8').split(`\n| ${head} |`);
  const [table = ''] = body.split('\n\n');
  return table.split('\n').slice(2).map((row) => /^\| ?(.*?) ?\|/.exec(row)?.[1] ?? '');
}

/** Names that stand as code in a text: `` `close(reason)` `` is close. */
export const namesIn = (text: string): string[] =>
  [...text.matchAll(/`([A-Za-z]\w*)[^`\n]*`/g)].map((match) => match[1] as string);

/** The text of a page with its tables as the code has them now. */
export function withTables(page: string, tables: Readonly<Record<string, string>>): string {
  return (PAGES[page] ?? []).reduce((text, name) => text.replace(between(name), (_, open: string, __, close: string) =>
    `${open}${tables[name]}${close}`), readFileSync(page, 'utf8'));
}

const row = (...cells: string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
const table = (head: string[], rows: string[]): string => [row(...head), `|${'---|'.repeat(head.length)}`, ...rows].join('\n');

interface Shape { entries?: Record<string, v.GenericSchema>; pipe?: v.GenericSchema[]; wrapped?: v.GenericSchema; default?: unknown }
const shape = (schema: v.GenericSchema) => schema as unknown as Shape;

function optionTable(schema: v.GenericSchema): string {
  const { entries, pipe } = shape(schema);
  const found = entries ?? shape(pipe?.find((part) => shape(part).entries) as v.GenericSchema).entries ?? {};
  const rows = Object.entries(found).map(([name, entry]) => {
    const { default: standard, wrapped } = shape(entry);
    const text = v.getDescription(wrapped ?? entry) ?? v.getDescription(entry) ?? '';
    return row(`\`${name}\``, standard === undefined ? 'none' : `\`${JSON.stringify(standard)}\``, text);
  });
  return table(['option', 'default', ''], rows);
}

function hookTable(): string {
  const rows = Object.entries(createHooks()).map(([name, hook]) => {
    const { kind, args, when } = noteOfHook(hook);
    return row(`\`${name}\``, `${hook.constructor.name.replace(/Hook$/, '')}, ${kind}`, args.join(', '), when);
  });
  return table(['hook', 'kind', 'arguments', 'when'], rows);
}

function errorTable(): string {
  const rows = Object.entries(ERRORS).map(([code, { exit, means }]) => row(`\`${code}\``, String(exit), means));
  return table(['code', 'exit code', 'means'], rows);
}

const MARKED: Readonly<Record<Flags[string]['kind'], string>> = { text: ' VALUE', list: ' VALUE', maybe: '[=VALUE]', switch: '' };

function flagRow(name: string, { alias, negative, kind, standard = '', description }: Flags[string], ...before: string[]): string {
  const spelled = `\`--${negative ? 'no-' : ''}${name}${MARKED[kind]}\``;
  return row(...before, alias ? `${spelled}, \`-${alias}\`` : spelled, standard.replace('<', '&lt;'), description);
}

function flagTable(flags: Flags): string {
  return table(['flag', 'default', ''], Object.entries(flags).map(([name, flag]) => flagRow(name, flag)));
}

/** What a command has beside the flags that read the configuration. */
function commandFlagTable(): string {
  return table(['command', 'flag', 'default', ''], [...commands].flatMap(([name, command]) => {
    const one = new command([]);
    if (!(one instanceof Command)) return [];
    const own = Object.entries(one.flags).filter(([flag, { key }]) => !configFlags[flag] || !key);
    return own.map(([flag, spec]) => flagRow(flag, spec, `\`${name}\``));
  }));
}

/** A row for each state, a column for each event. */
function stateTable(states: Readonly<Record<string, Readonly<Partial<Record<string, string>>>>>): string {
  const events = [...new Set(Object.values(states).flatMap((row) => Object.keys(row)))];
  const rows = Object.entries(states).map(([from, to]) => row(`\`${from}\``, ...events.map((event) => to[event] ?? '-')));
  return table(['from', ...events], rows);
}

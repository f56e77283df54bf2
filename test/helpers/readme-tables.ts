import * as v from 'valibot';
import { configTable } from '../../lib/config/schema-renderings.js';
import { createHooks, hookKinds, type HookName } from '../../lib/api/hooks.js';

/** The parts of README.md that are generated, so that it cannot say what the code does not: `npx tsx test/helpers/print-readme-tables.ts`. */
export async function readmeTables(): Promise<Record<string, string>> {
  const tables: Record<string, string> = { config: configTable(), hooks: hookTable() };
  for (const name of ['graceful-exit', 'health-check', 'sticky-session', 'dev-reload', 'metrics'] as const) {
    const { schema } = await import(`../../plugins/${name}/options.js`) as { schema: v.GenericSchema };
    tables[name] = optionTable(schema);
  }
  return tables;
}

interface Shape { entries?: Record<string, v.GenericSchema>; pipe?: v.GenericSchema[]; wrapped?: v.GenericSchema; default?: unknown; options?: v.GenericSchema[] }
const shape = (schema: v.GenericSchema) => schema as unknown as Shape;

function optionTable(schema: v.GenericSchema): string {
  const { entries, pipe } = shape(schema);
  const found = entries ?? shape(pipe?.find((part) => shape(part).entries) as v.GenericSchema).entries ?? {};
  const rows = Object.entries(found).map(([name, entry]) => {
    const { default: standard, wrapped } = shape(entry);
    const text = v.getDescription(wrapped ?? entry) ?? v.getDescription(entry) ?? '';
    return `| \`${name}\` | ${standard === undefined ? 'none' : `\`${JSON.stringify(standard)}\``} | ${text.replaceAll('|', '\\|')} |`;
  });
  return ['| option | default | |', '|---|---|---|', ...rows].join('\n');
}

/** Arguments come from the hooks themselves; kind and moment from {@link hookKinds} and this list. */
const MOMENT: Record<HookName, string> = {
  configResolved: 'the configuration is loaded, at the start and at each reload; what a tap returns is validated again',
  beforeStart: 'before anything is forked; an error aborts the start',
  startFailed: 'a child failed before all were ready; `"stay"` keeps the master up (dev-reload does)',
  beforeForkAgent: 'each fork of the agent; `env` and `execArgv` of the spec may be changed',
  beforeForkWorker: 'each fork of a worker',
  agentForked: 'the pid is known',
  workerForked: 'the pid is known',
  agentReady: '`ready` entered',
  workerReady: '`ready` entered',
  clusterReady: 'all ready for the first time',
  agentExit: 'once a process; exit is `{ cause, code, signal, uptime }`',
  workerExit: 'once a process',
  beforeRefork: 'a worker died: `{ delay }`, `"leave"` or undefined',
  reachReforkLimit: '`refork.limit` deaths within `refork.duration`: `"degrade"`, `"exit"` or undefined',
  workerUnresponsive: 'an event loop has not answered for `hangTimeout`: `"replace"`, `"ignore"` or undefined',
  beforeReload: 'before a rolling reload; a text vetoes it and is the reason',
  reloaded: 'after a rolling reload, done or aborted',
  beforeDrain: 'before a child is told to close',
  scaleChanged: 'the number of workers wanted has changed',
  beforeClose: 'shutdown begins',
  closed: 'all children are gone',
  message: 'each message through the master; `false` drops it',
  collectStatus: '`status` was asked',
};

function hookTable(): string {
  const rows = Object.entries(createHooks()).map(([name, hook]) => {
    const { _args } = hook as unknown as { _args: string[] };
    const kind = `${hook.constructor.name.replace(/Hook$/, '')}, ${hookKinds[name as HookName]}`;
    return `| \`${name}\` | ${kind} | ${_args.join(', ')} | ${MOMENT[name as HookName]} |`;
  });
  return ['| hook | kind | arguments | when |', '|---|---|---|---|', ...rows].join('\n');
}

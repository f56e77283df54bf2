import { spawn } from 'node:child_process';
import type { Status } from '../../lib/api/control.js';
import { masked } from '../secrets.js';
import { entriesOf, matters, whereFrom, type LogEntry } from './log-lines.js';
import { RpcError } from './rpc.js';

/** What a tool answers: a text, and an object where there is one. */
export interface ToolResult {
  content: { type: 'text'; text: string }[];
  structuredContent?: Record<string, unknown>;
  isError?: boolean;
}

/** The instance that the server is for, as words of a command line. */
export interface Instance {
  words: readonly string[];
  /** The app's directory, as far as it was typed. */
  dir: string;
}

interface Field {
  type: 'string' | 'integer' | 'boolean';
  description: string;
  enum?: readonly string[];
  minimum?: number;
  maximum?: number;
}

export interface Tool {
  description: string;
  /** Whether it only looks. */
  readOnly: boolean;
  fields: Readonly<Record<string, Field>>;
  call(args: Record<string, unknown>, instance: Instance, signal: AbortSignal): Promise<ToolResult>;
}

/** Lines of a log that are looked at, and given where nobody says how many. */
const LOOKED_AT = 5_000;
const GIVEN = 100;
/** Characters that are kept of what a command says. */
const KEPT = 4 * 1024 * 1024;
/** Longer than any command but a reload with slow starts, ms; it tells itself when it takes that long. */
const PATIENCE = 15 * 60_000;

interface Said { code: number | null; out: string; err: string }

/** A command of this very bin, in a process of its own: its answer is what a person would get. */
function command(words: readonly string[], signal: AbortSignal): Promise<Said> {
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1] ?? '', ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said: Said = { code: null, out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => { said.out = (said.out + text).slice(-KEPT); });
  child.stderr.setEncoding('utf8').on('data', (text: string) => { said.err = (said.err + text).slice(-KEPT); });
  const end = () => { child.kill('SIGTERM'); };
  const timer = setTimeout(end, PATIENCE);
  signal.addEventListener('abort', end, { once: true });
  return new Promise((resolve, reject) => {
    child.once('error', reject).once('close', (code) => resolve({ ...said, code }));
  }).finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }) as Promise<Said>;
}

const textResult = (text: string, more: Partial<ToolResult> = {}): ToolResult => ({ content: [{ type: 'text', text }], ...more });

/** The object that a command with `--json` has answered, or what it said instead. */
async function answerOf(words: readonly string[], signal: AbortSignal): Promise<ToolResult> {
  const { code, out, err } = await command([...words, '--json'], signal);
  try {
    const answer = JSON.parse(out) as Record<string, unknown>;
    const failed = 'error' in answer && Object.keys(answer).length === 1;
    return textResult(JSON.stringify(answer, null, 2), { structuredContent: answer, ...(failed ? { isError: true } : {}) });
  } catch {
    return textResult((err || out).trim() || `exit code ${code}`, { isError: true });
  }
}

async function entries({ words }: Instance, signal: AbortSignal): Promise<LogEntry[] | ToolResult> {
  const { code, out, err } = await command(['logs', ...words, '-n', String(LOOKED_AT)], signal);
  return code === 0 || out !== '' ? entriesOf(out) : textResult(err.trim(), { isError: true });
}

async function logs({ since, lines, level }: Record<string, unknown>, instance: Instance, signal: AbortSignal): Promise<ToolResult> {
  const from = since === undefined ? -Infinity : Date.parse(String(since));
  if (Number.isNaN(from)) throw new RpcError('params', `since: expected a time such as 2026-01-31T12:00:00Z, found "${String(since)}"`);
  const all = await entries(instance, signal);
  if (!Array.isArray(all)) return all;
  const fit = all.filter((entry) => (entry.at ?? from) >= from && (level === undefined || matters(entry, String(level))));
  const given = fit.slice(-Number(lines ?? GIVEN));
  const left = fit.length - given.length;
  const text = given.map((entry) => masked(entry.text) as string).join('\n');
  return textResult(`${left > 0 ? `(${left} earlier entries left out)\n` : ''}${text || 'nothing was logged'}`);
}

/** The newest of what the log, the last reload and the slots tell. */
async function lastError(_: unknown, instance: Instance, signal: AbortSignal): Promise<ToolResult> {
  const [said, log] = await Promise.all([command(['status', ...instance.words, '--json'], signal), entries(instance, signal)]);
  const status = said.code === 0 ? JSON.parse(said.out) as Status : null;
  const logged = Array.isArray(log) ? log.filter((entry) => entry.level === 'ERROR').map(({ text, at }) => ({ text, at })) : [];
  // The end of a process is a line of its own, and says less than what it has said before.
  const told = logged.filter(({ text }) => text.includes('\n') || text.startsWith('{'));
  const reload = status?.lastReload?.error ? [{ text: status.lastReload.error, at: Date.parse(status.lastReload.at) }] : [];
  const ends = [status?.agent, ...status?.workers ?? []].flatMap((child) =>
    child?.lastExit?.error ? [{ text: child.lastExit.error, at: Date.parse(child.lastExit.at) }] : []);
  const last = told.at(-1) ?? [...logged, ...reload, ...ends].sort((a, b) => (a.at ?? 0) - (b.at ?? 0)).at(-1);
  if (!last) return textResult(status || Array.isArray(log) ? 'no error is known' : said.err.trim());
  const error = masked(last.text) as string;
  const where = whereFrom(last.text, instance.dir);
  const at = last.at === null ? null : new Date(last.at).toISOString();
  const text = [error, ...(where ? ['', `${where.file}:${where.line}:${where.column}`, where.frame] : [])].join('\n');
  return textResult(text, { structuredContent: { error, at, where } });
}

export const TOOLS: Readonly<Record<string, Tool>> = {
  status: {
    description: 'The running instance: state, addresses, a row for each worker slot with its last exit, the last reload.',
    readOnly: true, fields: {},
    call: (_, { words }, signal) => answerOf(['status', ...words], signal),
  },
  logs: {
    description: 'Entries of the daemon\'s log, the newest last; errors with their stacks.',
    readOnly: true,
    fields: {
      since: { type: 'string', description: 'ISO 8601 time: only what was logged from then on' },
      lines: { type: 'integer', description: `how many entries at most; ${GIVEN} by default`, minimum: 1, maximum: LOOKED_AT },
      level: { type: 'string', description: 'the least important level that is given', enum: ['debug', 'info', 'warn', 'error'] },
    },
    call: logs,
  },
  last_error: {
    description: 'The last error of the app or of a reload, with its stack, the place in the source and the lines around it.',
    readOnly: true, fields: {},
    call: lastError,
  },
  reload: {
    description: 'Replaces all workers by new ones that run the code as it is now, without a lost request. If the new code does not '
      + 'start, the old workers stay and the answer is its error.',
    readOnly: false,
    fields: { agent: { type: 'boolean', description: 'false leaves the agent as it is' } },
    call: ({ agent }, { words }, signal) => answerOf(['reload', ...words, ...(agent === false ? ['--no-agent'] : [])], signal),
  },
  doctor: {
    description: 'Looks at machine, limits, container, versions, configuration and the running instance for what would bite, with fixes.',
    readOnly: true, fields: {},
    call: (_, { words }, signal) => answerOf(['doctor', ...words], signal),
  },
};

/** @throws RpcError an argument that the tool does not take, or not so */
export function assertArguments({ fields }: Tool, args: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(args)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (!field) throw new RpcError('params', `${name}: unknown argument; known are ${Object.keys(fields).join(', ') || 'none'}`);
    const { type, enum: allowed, minimum = -Infinity, maximum = Infinity } = field;
    const fits = type === 'integer' ? Number.isInteger(value) && (value as number) >= minimum && (value as number) <= maximum
      : typeof value === type && (!allowed || allowed.includes(value as string));
    if (!fits) throw new RpcError('params', `${name}: expected ${allowed?.join(', ') ?? type}, found ${JSON.stringify(value)}`);
  }
}

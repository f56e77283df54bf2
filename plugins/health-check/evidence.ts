import type { Config } from '../../lib/index.js';
import { openInspector, pause, type Frame } from './inspector.js';
import type { ActiveRequest } from './messages.js';
import { descendantsOf, kernelFunction, processFacts } from './process-facts.js';
import type { Pulse } from './pulse.js';

/** The evidence has this long, ms; then the child goes without. */
const LIMIT = 3_000;

/** Why a child does not answer. */
export interface Evidence {
  /** Milliseconds without a sample. */
  silence: number;
  /** The process's state as the system has it: `R` runs, `S` waits, `T` stopped. */
  state: string | null;
  /** Share of one core since its last sample. */
  cpu: number | null;
  /** Bytes. */
  rss: number | null;
  heapUsed: number | null;
  stack: Frame[] | null;
  /** Why there is no stack. */
  noStack?: string;
  requests: ActiveRequest[] | null;
  /** Command lines of the processes that it waits for, or at least has. */
  children: string[];
}

/** To be evaluated in the child; the name is that of requests.ts. */
const ACTIVE = '(globalThis[Symbol.for("hatchery.activeRequests")] ?? (() => []))().slice(0, 20)';

/** A line of V8's stacks: `at name (file:12:3)`, `at file:12:3`. */
const FRAME = /^\s*at (?:(.*) \()?(?:file:\/\/)?(.*?):(\d+):(\d+)\)?$/;

/** Looks into a child that does not answer, within 3 s. */
export async function collectEvidence({ child: { pid }, last, heardAt, blocking }: Pulse): Promise<Evidence> {
  const silence = performance.now() - heardAt;
  const [facts, children] = await Promise.all([processFacts(pid), descendantsOf(pid)]);
  const evidence: Evidence = {
    silence: Math.round(silence),
    state: facts.state,
    cpu: facts.cpu !== null && last ? Math.max(0, Math.min((facts.cpu - last.cpu) / silence, 99)) : null,
    rss: facts.rss,
    heapUsed: last?.heapUsed ?? null,
    stack: null,
    requests: null,
    children: children.map(({ command }) => command),
  };
  if (facts.state === 'T') return { ...evidence, noStack: 'the process is stopped (SIGSTOP)' };
  if (blocking) {
    const since = Math.round(performance.now() - blocking.since);
    return {
      ...evidence,
      stack: [{ name: blocking.name, file: 'node:child_process', line: 0, column: 0 }, ...framesOf(blocking.stack)],
      requests: blocking.requests.map((one) => ({ ...one, age: one.age === null ? null : one.age + since })),
    };
  }
  const signal = AbortSignal.timeout(LIMIT);
  try {
    const url = await openInspector(pid, signal);
    await pause(url, signal, async ({ frames, evaluate }) => {
      evidence.stack = frames;
      evidence.requests = await evaluate(ACTIVE) as ActiveRequest[];
    });
  } catch (error) {
    if (!evidence.stack) {
      evidence.noStack = signal.aborted
        ? `its JavaScript did not stop within ${LIMIT} ms: it is in native code${await waitsIn(pid)}`
        : (error as Error).message;
    }
  }
  return evidence;
}

function framesOf(stack: readonly string[]): Frame[] {
  return stack.flatMap((text) => {
    const [, name = '(anonymous)', file, line, column] = FRAME.exec(text) ?? [];
    return file === undefined ? [] : [{ name, file, line: Number(line), column: Number(column) }];
  });
}

async function waitsIn(pid: number): Promise<string> {
  const place = await kernelFunction(pid);
  return place === null ? '' : ` (${place})`;
}

const STATES: Readonly<Record<string, string>> = {
  R: 'running', S: 'waiting', D: 'waiting for the disk', T: 'stopped', t: 'traced', Z: 'ended',
};
const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MB`;
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

const callLine = ({ name, file, line, column }: Frame): string => `    at ${name} (${file}${line > 0 ? `:${line}:${column}` : ''})`;
const requestLine = ({ method, path, age }: ActiveRequest): string => `    ${method} ${path}${age === null ? '' : `, ${seconds(age)}`}`;

/** What goes into the log: lines for people, fields for programs. */
export function describeEvidence(evidence: Evidence, format: Config['log']['format']): { text: string; fields?: object } {
  const { silence, state, cpu, rss, heapUsed, stack, noStack, requests, children } = evidence;
  const text = `has not answered for ${seconds(silence)}`;
  if (format === 'json') return { text, fields: { ...evidence } };
  const facts = [
    state === null ? '' : `state ${state} (${STATES[state] ?? 'unknown'})`,
    cpu === null ? '' : `cpu ${Math.round(cpu * 100)} %`,
    rss === null ? '' : `rss ${megabytes(rss)}`,
    heapUsed === null ? '' : `heap ${megabytes(heapUsed)}`,
  ].filter(Boolean);
  const lines = [
    text,
    `  ${facts.join(', ')}`,
    ...(stack ? ['  JavaScript stack:', ...stack.map(callLine)] : [`  no JavaScript stack: ${noStack}`]),
    ...(requests?.length ? ['  active requests:', ...requests.map(requestLine)] : []),
    ...(children.length ? ['  its processes:', ...children.map((command) => `    ${command}`)] : []),
  ];
  return { text: lines.join('\n') };
}

import type { ChildView, ExitInfo, LastExit } from '../../api/child.js';
import type { ChildRole, CutRequests, StartStep } from '../../ipc/messages.js';
import { ClusterError } from '../../kit/errors.js';
import type { Logger } from '../../kit/logger.js';
import type { Child } from './child.js';

/** `exited with code 1 (crash) after 12ms`, for the log. */
export function describeExit({ cause, code, signal, uptime, overdue, cut }: ExitInfo): string {
  const how = signal ? `was ended by ${signal}` : `exited with code ${code}`;
  const whys = [
    ...(overdue === undefined ? [] : [`killed at its deadline of ${overdue}ms`]),
    ...(cut ? [`${cut} request${cut === 1 ? '' : 's'} cut`] : []),
  ];
  const why = cause !== 'requested' || whys.length === 0 ? [cause, ...whys] : whys;
  return `${how} (${why.join(', ')}) after ${uptime}ms`;
}

/** What the slot keeps of it. */
export const lastExitOf = ({ pid, failure, startedAt, readyAt }: Child, exit: ExitInfo): LastExit => ({
  ...exit, pid, at: new Date().toISOString(), error: failure?.error.message,
  ...(readyAt === null ? {} : { afterReady: Math.max(0, Math.round(startedAt + exit.uptime - readyAt)) }),
});

/** How it has ended, or that it has never begun. */
export function logExit(logger: Logger, child: Child, exit: ExitInfo): void {
  const isAsItShould = !exit.cut && exit.overdue === undefined;
  const level = exit.cause !== 'requested' ? 'error' : isAsItShould ? 'info' : 'warn';
  const { cut, waiting } = child;
  const fields = logger.format === 'json' && cut ? { cut: cut.oldest } : undefined;
  const told = fields ? '' : lost(cut, exit.overdue === undefined ? [] : waiting?.tasks ?? []);
  logger[level](`${processName(child)} ${describeEnd(child, exit)}${told}`, fields);
}

function describeEnd({ pid, failure }: Child, exit: ExitInfo): string {
  if (pid <= 0) return `could not be forked: ${failure?.error.message}`;
  return exit.cause === 'cutOff' ? `was ${failure?.error.message}; it ${describeExit(exit)}` : describeExit(exit);
}

const NAMED = 5;

/** What was cut, a line each; else what it has waited for. */
function lost(cut: CutRequests | null, tasks: readonly string[]): string {
  if (!cut) return tasks.length > 0 ? `: it waited for ${tasks.map((task) => `"${task}"`).join(', ')}` : '';
  const lines = cut.oldest.slice(0, NAMED).map(({ method, path, age }) => `    ${method} ${path}, ${(age / 1_000).toFixed(1)} s`);
  const more = cut.count - lines.length;
  if (lines.length === 0) return '';
  return [', in flight were:', ...lines, ...(more > 0 ? [`    and ${more} more`] : [])].join('\n');
}

/** A process in the log: `app_worker#3:61380 (slot 0)`; `the app` where that is this very process (`--workers 0`). */
export function processName({ role, id, pid, slot, standsBy }: Child): string {
  if (role === 'agent') return `agent_worker#${id}:${pid}`;
  return pid === process.pid ? 'the app' : `app_worker#${id}:${pid} (${standsBy ? 'standby' : `slot ${slot}`})`;
}

/** A place in the log. */
export const slotName = (role: ChildRole, index: number): string => role === 'agent' ? 'the agent' : `slot ${index}`;

type Named = Pick<ChildView, 'role' | 'slot' | 'standsBy' | 'pid'>;

function nameOf({ role, slot, standsBy, pid }: Named): string {
  if (role === 'agent') return 'agent';
  return pid === process.pid ? 'the app' : standsBy ? 'standby' : `worker#${slot}`;
}

/** `worker#0 (pid 4711)`. */
export const fullName = (child: Named): string => child.pid === process.pid ? nameOf(child) : `${nameOf(child)} (pid ${child.pid})`;

/** Why a child did not become ready, with its own error whole in `detail`. */
export function startFailure(child: Child, startTimeout: number): ClusterError {
  const name = fullName(child);
  const own = child.failure;
  const detail = [own?.output?.trimEnd(), own?.error.stack ?? own?.error.message].filter(Boolean).join('\n');
  if (child.exit?.cause === 'startTimeout') {
    const hangs = child.role === 'agent' ? ': its start hangs' : hintOf(child);
    const hint = own ? `: ${own.error.message}` : child.steps.length > 0 ? `: ${stepsOf(child.steps)}` : hangs;
    return new ClusterError('ERR_CLUSTER_START_TIMEOUT',
      `${name} was not ready within ${startTimeout} ms (startTimeout)${hint}`, { detail });
  }
  // A mistake of the user's, which shows in a child alone: no output of its own says more.
  if (own?.error.code === 'ERR_CLUSTER_PLUGIN') return new ClusterError('ERR_CLUSTER_PLUGIN', `${nameOf(child)}: ${own.error.message}`);
  const { code, signal } = child.exit ?? { code: null, signal: null };
  const how = own?.error.message ? `failed: ${own.error.message}`
    : signal ? `was ended by ${signal} before it was ready` : `exited with code ${code} before it was ready`;
  return new ClusterError('ERR_CLUSTER_START', `${name} ${how}`, { detail });
}

/** `the step "db" does not finish (29.9 s)`. */
const stepsOf = (steps: readonly StartStep[]): string => {
  const waited = steps.map(({ name, since }) => [name, `(${((Date.now() - since) / 1_000).toFixed(1)} s)`] as const);
  const [only, ...others] = waited;
  if (others.length === 0) return `${only?.[0]} does not finish ${only?.[1]}`;
  return `${waited.map((one) => one.join(' ')).join(', ')} do not finish`;
};

/** Why a worker may not have become ready. */
function hintOf({ addresses, listen: { port, path, hasServer } }: Child): string {
  if (!hasServer) return ': its module, or what it exports, has not resolved';
  const wanted = path ?? `port ${port}`;
  const served = addresses.filter(({ configured }) => !configured).map(({ name }) => name);
  if (addresses.length > served.length) return `: it listens on ${wanted}, and its start hangs`;
  const other = served.length > 0 ? `it listens on ${served.join(', ')}, and not on ${wanted}` : `it never listened on ${wanted}`;
  return `: ${other}, or its start hangs; an app without a server says \`server: false\` in its configuration`;
}

/** A child that was ready, and is not any more when it is to take over. */
export function lostSuccessor(child: Child, when: string): ClusterError {
  const what = child.failure?.error.message ?? (child.exit ? describeExit(child.exit) : 'it leaves');
  return new ClusterError('ERR_CLUSTER_START',
    `${fullName(child)} did not stay up ${when}: ${what}`, { detail: child.failure?.error.stack });
}

import { fork as forkProcess, type ChildProcess } from 'node:child_process';
import cluster, { type Worker } from 'node:cluster';
import { statSync } from 'node:fs';
import path from 'node:path';
import type { ForkSpec } from '../../api/hooks.js';
import type { Variables } from '../../config/environment.js';
import { ClusterError } from '../../kit/errors.js';
import { isObject, show } from '../../kit/misuse.js';
import type { ChildState, ChildView, ExitCause, ExitInfo } from '../../api/child.js';
import type { Channel } from '../../ipc/channel.js';
import { plainly, valid } from '../../ipc/intake.js';
import type { ChildRole, CloseReason, CutRequests, Served, StartStep, Waiting } from '../../ipc/messages.js';
import type { ErrorData } from '../../kit/errors.js';
import type { Release } from '../releases.js';
import { owned, type Faults } from '../../kit/faults.js';
import { createDebug } from '../../kit/logger.js';
import { killTree } from '../../kit/processes.js';
import { withOwnPipes } from '../../node/own-output.js';
import { portIn } from './exec-argv.js';

/** Where a process is started, and where its output goes. */
export interface ForkPlace {
  cwd: string;
  /** The package's folder that it runs from. */
  root: string;
  /** Standard output and error of the child: the master's own, a log file's descriptors, or pipes that the master reads. */
  stdio: { out: number | 'pipe'; err: number | 'pipe' };
  /** What it has otherwise than the master's environment. */
  environment?: Variables;
  /** Of a daemon: writes what it prints to the log files that are open now, where it is this very process. */
  print?(which: 'out' | 'err', bytes: Buffer): void;
}

/** A process that has just been started. */
export interface Forked {
  process: ChildProcess;
  worker: Worker | null;
  /** SIGKILL, with what it has started, as far as that is not to be left alone. Resolves when the signals are sent. */
  kill(): void | Promise<void>;
}

/** Whether it can be an argument, or the name or value of a variable. */
const isArgument = (value: unknown): boolean => typeof value === 'string' && !value.includes('\0');
const isValue = (value: unknown): boolean =>
  value === undefined || typeof value === 'number' || typeof value === 'boolean' || isArgument(value);

const isThere = (place: unknown, as: 'isFile' | 'isDirectory'): boolean =>
  isArgument(place) && path.isAbsolute(place as string) && statSync(place as string, { throwIfNoEntry: false })?.[as]() === true;

/**
 * What taps of `hook` have made of it: Node would throw a TypeError that names nobody, or take one for the other.
 * @throws ClusterError ERR_CLUSTER_HOOK
 */
export function checkSpec({ execArgv, env, entry, dir }: ForkSpec, given: Release, hook: string, plugins: readonly string[]): void {
  const wrong = (what: string, found: unknown) => new ClusterError('ERR_CLUSTER_HOOK',
    `hook ${hook} (${plugins.map((name) => `plugin "${name}"`).join(', ')}): expected ${what}, found ${show(found)}`);
  const list: unknown = execArgv;
  if (!Array.isArray(list)) throw wrong('a list of texts as execArgv', list);
  for (const [index, one] of list.entries()) if (!isArgument(one)) throw wrong(`a text without NUL as execArgv[${index}]`, one);
  if (!isObject(env)) throw wrong('an object as env', env);
  for (const [name, value] of Object.entries(env)) {
    if (!isArgument(name) || name === '') throw wrong('names without NUL in env', name);
    if (!isValue(value)) throw wrong(`a text without NUL as env.${name}`, value);
  }
  const { realDir, entry: own } = given.loaded.target;
  if (!isThere(dir, 'isDirectory') && dir !== realDir) throw wrong('an absolute path of a directory as dir', dir);
  if (entry === null || Object.values(own).includes(entry)) return;
  if (!isThere(entry, 'isFile')) throw wrong('an absolute path of a file as entry', entry);
}

const debug = createDebug('hatchery:child');

/** Lines; there are fewer things that Node may not have. */
const MOST_SLOW_PATHS = 100;

/** What it tells of itself, and nothing is decided by. */
interface Facts {
  failure: { error: ErrorData; output?: string } | null;
  steps: StartStep[];
  waiting: Waiting | null;
  cut: CutRequests | null;
  readonly state: ChildState;
  addresses: Served[];
  /** While it lived it has closed its configured address, to look at others perhaps. */
  hasLooked: boolean;
  readonly slowPaths: Set<string>;
}

export function hearFacts(child: Facts, channel: Channel<'master', ChildRole>): void {
  channel.on('child.listening', (all) => {
    if (child.state === 'draining') return;
    const isConfigured = ({ configured }: Served): boolean => configured;
    child.hasLooked ||= child.addresses.some(isConfigured) && !all.some(isConfigured);
    child.addresses = plainly(all);
  }, valid['child.listening']);
  channel.on('child.failed', (failure) => { child.failure = failure; }, valid['child.failed']);
  channel.on('child.slowPath', (what) => {
    if (child.slowPaths.size < MOST_SLOW_PATHS) child.slowPaths.add(what);
  }, valid['child.slowPath']);
  channel.on('child.steps', (steps) => { child.steps = steps; }, valid['child.steps']);
  channel.on('child.waiting', (waiting) => { child.waiting = waiting; }, valid['child.waiting']);
  channel.on('child.cut', (cut) => { Object.assign(child, { cut, waiting: null }); }, valid['child.cut']);
}

/** How far apart the ends of Node's channel and ours may be when a process dies, ms. */
const SETTLE = 50;
/** How long a process whose channel has ended may take to exit, ms. */
const LOST = 1_000;

export interface Ends {
  /** It has closed the cluster's channel, and ours is open. */
  leaves(): void;
  /** Its channel has ended, and it has not. */
  isLost(): void;
  /** It could not be started. */
  isNone(error: Error): void;
  /** Called once or twice. */
  hasGone(code: number | null, signal: NodeJS.Signals | null): void;
}

type Guard = <Args extends unknown[]>(what: string, then: (...args: Args) => unknown) => (...args: Args) => void;

/** What Node tells of a process's end, which comes in any order (docs/decisions/node-facts.md, 3). */
export function hearEnds({ process, worker }: Forked, channel: Channel<'master', ChildRole>, guard: Guard, ends: Ends): void {
  // The app, or a library such as Egg's graceful, closed the cluster's own channel: it is on its way out. A death closes ours as
  // well, and 'exit' may come after both.
  worker?.on('disconnect', () => {
    setTimeout(guard('disconnect', () => { if (channel.open) ends.leaves(); }), SETTLE);
  });
  channel.onClose(() => { setTimeout(guard('lost channel', () => ends.isLost()), LOST).unref(); });
  // node:cluster emits what goes wrong with its own messages on the worker as well: to a process that has just died, say.
  worker?.on('error', () => {});
  process.on('error', guard('error', (error: Error) => {
    debug('pid %d: %s', process.pid, error.message);
    if (process.pid === undefined) ends.isNone(error);
  }));
  process.once('exit', guard('exit', (code: number | null, signal: NodeJS.Signals | null) => {
    const gone = guard('exit', () => ends.hasGone(code, signal));
    if (!channel.open) return gone();
    channel.onClose(gone);
    setTimeout(gone, SETTLE).unref();
  }));
}

/** Intents that make an exit an expected one. */
const REQUESTED: ReadonlySet<CloseReason> = new Set(['stop', 'reload', 'scale', 'recycle', 'abort', 'signal', 'masterGone']);

const CAUSES: Readonly<Record<ExitCause, true>> = {
  requested: true, crash: true, startTimeout: true, unresponsive: true, lostChannel: true, outOfMemory: true, cutOff: true,
};
const isCause = (value: unknown): value is ExitCause => typeof value === 'string' && Object.hasOwn(CAUSES, value);

type Ending = Pick<ExitInfo, 'code' | 'signal'>;

/** What a plugin sets as a child's `explain`, as code of that plugin. @throws ClusterError ERR_CLUSTER_USAGE */
export function explanation(explain: ChildView['explain'] | undefined): ChildView['explain'] {
  if (explain === null || explain === undefined) return null;
  if (typeof explain === 'function') return owned(explain);
  throw new ClusterError('ERR_CLUSTER_USAGE', `child.explain: expected a function or null, found ${show(explain)}`);
}

/** Why a process has ended, where nobody has said so before. Plugins say what they like: a slot must not depend on it. */
export function causeOf(child: ChildView, { code, signal }: Ending, faults: Faults): ExitCause {
  if (child.intent === 'startTimeout' || child.intent === 'unresponsive') return child.intent;
  if (child.intent && REQUESTED.has(child.intent)) return 'requested';
  // Heap exhaustion ends in abort(); so do other things, which health-check tells apart, and a native module that does not load.
  const isAbort = child.readyAt !== null && (signal === 'SIGABRT' || signal === 'SIGTRAP');
  const explained: unknown = faults.run('child.explain', () => child.explain?.({ code, signal }));
  if (isCause(explained)) return explained;
  if (explained !== null && explained !== undefined) {
    faults.caught('child.explain', new Error(`expected one of ${Object.keys(CAUSES).join(', ')}, or null; found ${show(explained)}`));
  }
  return isAbort ? 'outOfMemory' : 'crash';
}

/** What is cut of one that ends: who says that it waits for requests, and ends, has cut them. */
export function cutAtEnd({ waiting, cut }: Pick<ChildView, 'waiting' | 'cut'>): CutRequests | null {
  const { requests = 0, inFlight = [] } = waiting ?? {};
  if (requests <= 0) return cut;
  return { count: requests + (cut?.count ?? 0), oldest: [...cut?.oldest ?? [], ...inFlight] };
}

/** Starts one process, whose `kill` leaves `spared` ones of its own alone; a unit test's has none behind it (fake-forker.ts). */
export type StartProcess = (spec: ForkSpec, place: ForkPlace, spared: (pid: number) => boolean) => Forked;

/** Standard streams, Node's IPC, and our own pipe at CHANNEL_FD. */
const streams = ({ stdio }: ForkPlace) => ['ignore', stdio.out, stdio.err, 'ipc', 'pipe'] as ('ignore' | 'ipc' | 'pipe' | number)[];

export const startProcess: StartProcess = (spec, place, spared) => withOwnPipes(place.stdio, (stdio) => {
  const fork = spec.role === 'agent' ? forkAgent : forkWorker;
  return fork(spec, { ...place, stdio }, spared);
});

const mainOf = ({ role }: ForkSpec, { root }: ForkPlace): string => path.join(root, `dist/lib/child/${role}-main.cjs`);

const forkWorker: StartProcess = (spec, place, spared) => {
  cluster.setupPrimary({
    exec: mainOf(spec, place),
    args: [],
    execArgv: spec.execArgv,
    cwd: place.cwd,
    stdio: streams(place),
    // Whose process this is may have chosen the other one for workers of its own.
    serialization: 'json',
    windowsHide: true,
    // node:cluster counts debug ports up by itself unless it is told one.
    inspectPort: portIn(spec.execArgv),
  });
  const worker = cluster.fork({ ...place.environment, ...spec.env });
  return { process: worker.process, worker, kill: () => killTree(worker.process.pid, spared) };
};

const forkAgent: StartProcess = (spec, place, spared) => {
  const agent = forkProcess(mainOf(spec, place), [], {
    env: { ...process.env, ...place.environment, ...spec.env },
    execArgv: spec.execArgv,
    cwd: place.cwd,
    stdio: streams(place),
  });
  return { process: agent, worker: null, kill: () => killTree(agent.pid, spared) };
}

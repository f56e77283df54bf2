import { fork as forkProcess, type ChildProcess } from 'node:child_process';
import cluster, { type Worker } from 'node:cluster';
import type { ForkSpec } from '../../api/hooks.js';
import { built } from '../../kit/package.js';

export interface Forked {
  process: ChildProcess;
  worker: Worker | null;
}

export interface ForkPlace {
  cwd: string;
  /** Standard output and error of the child: the master's own, or a log file's descriptors. */
  stdio: { out: number | 'inherit'; err: number | 'inherit' };
}

/** Standard streams, Node's IPC, and our own pipe at CHANNEL_FD. */
const streams = ({ stdio }: ForkPlace) => ['ignore', stdio.out, stdio.err, 'ipc', 'pipe'] as ('ignore' | 'ipc' | 'pipe' | number)[];

export function forkWorker(spec: ForkSpec, place: ForkPlace): Forked {
  cluster.setupPrimary({
    exec: built('lib/child/worker-main.cjs'),
    args: [],
    execArgv: spec.execArgv,
    cwd: place.cwd,
    stdio: streams(place),
    windowsHide: true,
    // node:cluster counts debug ports up by itself unless it is told one.
    inspectPort: inspectPort(spec.execArgv),
  });
  const worker = cluster.fork(spec.env);
  return { process: worker.process, worker };
}

export function forkAgent(spec: ForkSpec, place: ForkPlace): Forked {
  const process_ = forkProcess(built('lib/child/agent-main.cjs'), [], {
    env: { ...process.env, ...spec.env },
    execArgv: spec.execArgv,
    cwd: place.cwd,
    stdio: streams(place),
  });
  return { process: process_, worker: null };
}

/** Flags of the master's own Node that a child must not get: the code it was given, and its debug port. */
const OWN = /^(?:--inspect|--debug-port|--test|--watch)/;
const OWN_WITH_VALUE = new Set(['-e', '--eval', '-p', '--print', '-pe']);

/** The master's Node flags, as children of node:cluster get them by default, less those that are the master's alone. */
export function inheritedExecArgv(argv: readonly string[] = process.execArgv): string[] {
  const kept: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i] as string;
    if (OWN_WITH_VALUE.has(arg)) i++;
    else if (!OWN.test(arg) && !arg.startsWith('--input-type') && !arg.startsWith('--eval=')) kept.push(arg);
  }
  return kept;
}

function inspectPort(execArgv: readonly string[]): number | undefined {
  for (const arg of [...execArgv].reverse()) {
    const port = /^--inspect(?:-brk|-port)?(?:-wait)?=(?:.*:)?(\d+)$/.exec(arg)?.[1];
    if (port !== undefined) return Number(port);
  }
  return undefined;
}

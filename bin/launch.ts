import { spawn } from 'node:child_process';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { Environment } from '../lib/config/environment.js';
import { loadConfig } from '../lib/config/load.js';
import { logicalCwd } from '../lib/config/target.js';
import { alreadyRunning } from '../lib/control/claim.js';
import { findInstances, type InstanceRecord } from '../lib/control/registry.js';
import { MARK } from '../lib/ipc/messages.js';
import { ClusterError } from '../lib/kit/errors.js';
import type { LogPaths } from '../lib/kit/log-files.js';
import { chooseLogs } from './log-files.js';
import { REPORT_FD, type DaemonOrder, type DaemonReport, type MasterRequest } from './master.js';
import { answer, answerError, print, printError, write } from './output.js';

/** A start that takes longer says so this often, ms. */
const PATIENCE = 5_000;

/** Starts the master as a process of its own; resolves with 0 when all workers are ready, else with its exit code. */
export async function launch({ mode, load, argv, envFiles, ...wishes }: MasterRequest): Promise<number> {
  // The master reads the files itself, and what it is given wins over them.
  const env = { ...new Environment(envFiles, mode).given };
  // Read here first: what is wrong with the configuration is told at once, and nothing is started.
  const { config, target } = await loadConfig(load);
  const [running] = await findInstances({ target: target.dir, title: config.title });
  if (running) throw alreadyRunning(running);
  const log = chooseLogs(wishes, { title: config.title, dir: target.dir, realDir: target.realDir });
  return startDaemon({ title: config.title, argv, execArgv: process.execArgv, cwd: logicalCwd(), log, env });
}

export type DaemonSpec = Pick<InstanceRecord, 'title' | 'argv' | 'execArgv' | 'cwd'> & { log: LogPaths; env: NodeJS.ProcessEnv };

export async function startDaemon({ title, argv, execArgv, cwd, log, env }: DaemonSpec): Promise<number> {
  const files = [...new Set([log.out, log.err])];
  const before = new Map(files.map((file) => [file, size(file)]));
  const order: DaemonOrder = { log };
  const descriptors = [openSync(log.out, 'a'), openSync(log.err, 'a')];
  const child = spawn(process.execPath, [...execArgv, ...argv], {
    cwd,
    // PWD keeps symbolic links such as `current`, which a reload follows anew. It is no worker's, be it one that runs this command.
    env: { ...env, PWD: cwd, HATCHERY_DAEMON: JSON.stringify(order), [MARK]: undefined },
    detached: true,
    stdio: ['ignore', ...descriptors, 'pipe'],
  });
  for (const descriptor of descriptors) closeSync(descriptor);
  const started = Date.now();
  const where = `log: ${files.join(', ')}`;
  const waiting = setInterval(() => {
    const seconds = Math.round((Date.now() - started) / 1000);
    print(`${title} is still starting after ${seconds} s (pid ${child.pid}), ${where}`);
  }, PATIENCE);
  const giveUp = () => { child.kill('SIGTERM'); };
  process.once('SIGINT', giveUp).once('SIGTERM', giveUp);
  try {
    const pipe = child.stdio[REPORT_FD] as Readable;
    const ended = exitOf(child);
    const outcome = await reportOf(pipe) ?? await ended;
    if ('ready' in outcome) {
      pipe.destroy();
      child.unref();
      const { pid, address, workers } = outcome.ready;
      const many = workers === 0 ? 'in one process' : `${workers} worker${workers === 1 ? '' : 's'}`;
      const words = `${title} started on ${address ?? 'no address'} (pid ${pid}, ${many}), ${where}`;
      answer({ title, pid, address, workers, log }, words);
      return 0;
    }
    const said = [...before].map(([file, offset]) => tail(file, offset)).join('');
    write(2, said);
    const { code, signal } = outcome;
    const words = `${title} did not start (${signal ? `ended by ${signal}` : `exit code ${code}`}), ${where}`;
    answerError(new ClusterError(code === 2 ? 'ERR_CLUSTER_CONFIG' : 'ERR_CLUSTER_START', words, { detail: said }));
    printError(words);
    return code || 1;
  } finally {
    clearInterval(waiting);
    process.off('SIGINT', giveUp).off('SIGTERM', giveUp);
  }
}

function exitOf(child: ReturnType<typeof spawn>): Promise<{ code: number | null; signal: string | null }> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
}

/** Null when the pipe ends without a word. */
async function reportOf(pipe: Readable): Promise<DaemonReport | null> {
  let text = '';
  try {
    for await (const chunk of pipe.setEncoding('utf8')) {
      text += chunk as string;
      if (text.endsWith('\n')) break;
    }
    return JSON.parse(text) as DaemonReport;
  } catch {
    return null;
  }
}

const size = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

/** What has been written to a file since it was `offset` bytes long; of a flood the last megabyte. */
function tail(file: string, offset: number): string {
  try {
    const length = Math.min(size(file) - offset, 1024 * 1024);
    if (length <= 0) return '';
    const descriptor = openSync(file, 'r');
    const buffer = Buffer.alloc(length);
    readSync(descriptor, buffer, 0, length, size(file) - length);
    closeSync(descriptor);
    return buffer.toString();
  } catch {
    return '';
  }
}

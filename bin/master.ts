import { closeSync, writeSync } from 'node:fs';
import path from 'node:path';
import { loadConfig, type LoadRequest, type LoadedConfig } from '../lib/config/load.js';
import { logicalCwd } from '../lib/config/target.js';
import { Instance } from '../lib/control/instance.js';
import { ClusterError } from '../lib/kit/errors.js';
import type { LogPaths } from '../lib/kit/logger.js';
import { Bootstrap } from '../lib/master/bootstrap.js';
import { printError } from './output.js';

/** What there is to run. */
export interface MasterRequest {
  mode: 'start' | 'dev';
  load: LoadRequest;
  /** The bin, the command and its words, for `restart`. */
  argv: string[];
}

/** What a launcher tells the master that it starts, in the environment. */
export interface DaemonOrder {
  log: LogPaths;
}

/** Descriptor on which a daemon answers its launcher: not the IPC channel, which is the application's to a parent. */
export const REPORT_FD = 3;

/** The daemon's one line to its launcher. */
export interface DaemonReport {
  ready: { pid: number; address: string | null; workers: number };
}

const CHILD_FAILED: ReadonlySet<string> = new Set(['ERR_CLUSTER_START', 'ERR_CLUSTER_START_TIMEOUT']);

/** Runs the master in this process; resolves with the exit code. */
export async function runMaster({ mode, load, argv }: MasterRequest): Promise<number> {
  const daemon = takeOrder();
  endBySignals();
  const prepare = mode === 'dev' ? (await import('./free-port.js')).preparePort() : undefined;
  const read = async (): Promise<LoadedConfig> => {
    const loaded = await loadConfig(load);
    await prepare?.(loaded);
    return loaded;
  };
  const loaded = await read();
  for (const file of loaded.unused) printError(`${file} is not used: ${loaded.files[0]} comes first`);
  const { target, config } = loaded;
  const instance = await Instance.enter({
    title: config.title,
    dir: target.realDir,
    target: load.target === undefined ? target.dir : path.resolve(logicalCwd(), load.target),
    command: mode,
    argv,
    execArgv: process.execArgv,
    cwd: logicalCwd(),
    log: daemon?.log ?? null,
  }, printError);
  const bootstrap = new Bootstrap(loaded, { reloadConfig: read, logFiles: daemon?.log, files: instance.files, catchUncaught: true });
  try {
    // After the forks, which come in this turn of the event loop.
    setImmediate(() => { void instance.serve(bootstrap); });
    await bootstrap.start();
    // Other libraries in the master may write through the streams, and nobody may be reading any more.
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
    if (daemon) report({ ready: { pid: process.pid, address: bootstrap.address, workers: config.workers } });
    return await bootstrap.exited;
  } catch (error) {
    if (error instanceof ClusterError && error.code === 'ERR_CLUSTER_CLOSING') return await bootstrap.exited;
    // The child's own error is in this very output already, and in whole.
    if (error instanceof ClusterError && CHILD_FAILED.has(error.code)) {
      printError(error.message);
      return error.exitCode;
    }
    throw error;
  } finally {
    await instance.close();
  }
}

/**
 * Before Bootstrap listens to signals, and when it does no more, one would kill the process where it stands and leave its
 * record behind; an exit takes it along.
 */
function endBySignals(): void {
  const end = (signal: NodeJS.Signals) => { if (process.listenerCount(signal) === 1) process.exit(); };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP'] as const) process.on(signal, end);
  // They would stop it where it stands, for ever; Windows does not know them.
  if (process.platform !== 'win32') for (const signal of ['SIGTTIN', 'SIGTTOU'] as const) process.on(signal, () => {});
}

/** Read once and taken out of the environment, which the children inherit. */
function takeOrder(): DaemonOrder | undefined {
  const { HATCHERY_DAEMON } = process.env;
  delete process.env.HATCHERY_DAEMON;
  return HATCHERY_DAEMON ? JSON.parse(HATCHERY_DAEMON) as DaemonOrder : undefined;
}

function report(line: DaemonReport): void {
  try {
    writeSync(REPORT_FD, `${JSON.stringify(line)}\n`);
    closeSync(REPORT_FD);
  } catch {
    // The launcher has gone; the daemon goes on.
  }
}

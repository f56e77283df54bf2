import { closeSync, writeSync } from 'node:fs';
import path from 'node:path';
import { Environment } from '../lib/config/environment.js';
import { mixedVersions } from '../lib/config/frameworks.js';
import { loadConfig, type LoadRequest, type LoadedConfig } from '../lib/config/load.js';
import { logicalCwd, throughLinks } from '../lib/config/target.js';
import { Instance } from './instance.js';
import { ClusterError } from '../lib/kit/errors.js';
import type { LogPaths } from '../lib/kit/log-files.js';
import { hasControllingTerminal, outliveTerminal, startedAtTerminal } from '../lib/kit/terminal.js';
import { Bootstrap } from '../lib/master/bootstrap.js';
import { mindTerminal } from '../lib/master/terminal.js';
import { standardOutlet, takeStreams } from '../lib/master/outlet.js';
import type { LogWishes } from './log-files.js';
import { printError, writeBy } from './output.js';

/** What there is to run. */
export interface MasterRequest extends LogWishes {
  mode: 'start' | 'dev';
  load: LoadRequest;
  /** Files of variables. */
  envFiles: readonly string[];
  /** The app runs in this process, and no other is started: `--workers 0`. */
  alone?: boolean;
  /** The bin, the command and its words, for `restart`. */
  argv: string[];
}

/** What a launcher tells the master that it starts, in the environment. */
export interface DaemonOrder {
  log: LogPaths;
}

/** In place of the order: the start is only to be rehearsed. Older versions end at once, as it is no JSON. */
export const REHEARSE = 'rehearse';

/** Descriptor on which a daemon answers its launcher: not the IPC channel, which is the application's to a parent. */
export const REPORT_FD = 3;

/** The daemon's one line to its launcher. */
export interface DaemonReport {
  ready: { pid: number; address: string | null; workers: number };
}

const CHILD_FAILED: ReadonlySet<string> = new Set(['ERR_CLUSTER_START', 'ERR_CLUSTER_START_TIMEOUT']);

/** Runs the master in this process; resolves with the exit code. */
export async function runMaster({ mode, load, argv, envFiles, alone = false, ...wishes }: MasterRequest): Promise<number> {
  const daemon = takeOrder();
  const here = alone && daemon !== REHEARSE ? new (await import('./alone.js')).Alone() : null;
  const hungUp = here ? () => false : takeSignals();
  if (!here) {
    takeStreams();
    writeBy((fd, text) => standardOutlet(fd).write(text, (words) => `${words}\n`));
  }
  const environment = new Environment(envFiles, mode);
  if (daemon === REHEARSE) return (await import('./rehearse.js')).rehearse(load, wishes, REPORT_FD);
  const prepare = mode === 'dev' ? (await import('./free-port.js')).preparePort() : undefined;
  const read = async (): Promise<LoadedConfig> => {
    const loaded = await loadConfig(load);
    await prepare?.(loaded);
    here?.check(loaded);
    return loaded;
  };
  const loaded = await read();
  const { target, config } = loaded;
  // What is said before there is a log waits for it.
  const early = [
    ...loaded.unused.map((file) => `${file} is not used: ${loaded.files.at(-1)} comes first`),
    ...mixedVersions(loaded.frameworks),
  ];
  let warn = (line: string): void => { early.push(line); };
  const instance = await Instance.enter({
    title: config.title,
    dir: target.realDir,
    place: target.dir,
    target: load.target === undefined ? target.dir : path.resolve(logicalCwd(), load.target),
    command: mode,
    argv: [throughLinks(argv[0] ?? '', [logicalCwd(), target.dir]), ...argv.slice(1)],
    execArgv: process.execArgv,
    cwd: logicalCwd(),
    log: daemon?.log ?? null,
  }, (line) => warn(line));
  const onFilesMoved = (tell: typeof instance.onMoved) => { instance.onMoved = tell; };
  const bootstrap = new Bootstrap(loaded, {
    reloadConfig: read, logFiles: daemon?.log, environment, files: instance.files, onFilesMoved,
    ...(here ? here.options : { catchUncaught: true }),
  });
  here?.serves(bootstrap);
  warn = (line) => bootstrap.logger.warn(line);
  early.forEach(warn);
  try {
    // After the forks, which come in this turn of the event loop.
    setImmediate(() => { void instance.serve(bootstrap); });
    const started = bootstrap.start();
    // What the signal tells of may have come after the configuration was read. What becomes of the reload is in the log.
    if (hungUp()) bootstrap.reload('SIGHUP', { queue: true }).catch(() => {});
    await started;
    if (daemon) report({ ready: { pid: process.pid, address: bootstrap.address, workers: here ? 0 : config.workers } });
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
 * record behind; an exit takes it along. A SIGHUP that asks for a reload waits: returns whether there was one.
 */
function takeSignals(): () => boolean {
  outliveTerminal();
  const early = (signal: NodeJS.Signals) => process.listenerCount(signal) === 1;
  const end = (signal: NodeJS.Signals) => { if (early(signal)) process.exit(); };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) process.on(signal, end);
  // A terminal says by it that it is gone.
  let hungUp = false;
  process.on('SIGHUP', (signal) => {
    if (startedAtTerminal) end(signal);
    else hungUp ||= early(signal);
  });
  if (process.platform === 'win32') return () => hungUp;
  // SIGUSR1 would open a debugger, the others stop it or end it where it stands. A terminal's own are another matter.
  const ignored: NodeJS.Signals[] = ['SIGUSR1', 'SIGUSR2'];
  if (hasControllingTerminal()) mindTerminal();
  else ignored.push('SIGTTIN', 'SIGTTOU');
  for (const signal of ignored) process.on(signal, () => {});
  return () => hungUp;
}

/** Read once and taken out of the environment, which the children inherit. */
function takeOrder(): DaemonOrder | typeof REHEARSE | undefined {
  const { HATCHERY_DAEMON } = process.env;
  delete process.env.HATCHERY_DAEMON;
  if (HATCHERY_DAEMON === REHEARSE) return REHEARSE;
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

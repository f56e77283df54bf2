import { execFile } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import { loadConfig, type LoadedConfig, type LoadRequest } from '../lib/config/load.js';
import { assertOwnGroup } from '../lib/config/resolve-config.js';
import { originOf, whereWritten } from '../lib/config/provenance.js';
import type { LogPaths } from '../lib/kit/log-files.js';
import { ClusterError } from '../lib/kit/errors.js';
import { Bootstrap } from '../lib/master/bootstrap.js';
import { inspectors } from '../lib/master/processes/exec-argv.js';
import { chooseLogs, type LogWishes } from './log-files.js';

/** An address that a start would want. */
export interface Wanted {
  port?: number;
  host?: string;
  path?: string;
  /** Where it is written, and where its host is, for a message. */
  where: string;
  whereHost: string;
  /** Nobody has named it. */
  byDefault: boolean;
}

/** What a start would be, as far as it can be known without one. */
export interface Rehearsal {
  title: string;
  /** Real path of the app's directory. */
  dir: string;
  log: LogPaths;
  /** Of the workers. */
  listen: Wanted;
  /** Of built-in plugins, in the master, and of inspectors. */
  ports: Wanted[];
}

/** Built-in plugins that listen in the master. */
const LISTENING = ['health-check', 'metrics'];
/** Node's exit code. */
const BAD_FLAG = 9;
/** What a plugin meets in its `apply` while the instance that it is to follow runs still. */
const IN_USE: ReadonlySet<unknown> = new Set(['EADDRINUSE', 'ERR_CLUSTER_START']);

/** How long a Node that has nothing to do may take, ms: who preloads what takes longer has flags that work. */
const FLAGS_TAKE = 10_000;

/**
 * For `restart`, before it stops anything: does in a process of its own what a start does before it forks (arguments,
 * configuration, plugins with their options, log files), and tells what would come of it. What is wrong is told as a start
 * would. Resolves with the exit code.
 */
export async function rehearse(load: LoadRequest, wishes: LogWishes, fd: number): Promise<number> {
  const loaded = await loadConfig(load);
  const bootstrap = new Bootstrap(loaded, { dry: true });
  bootstrap.logger.level = 'silent';
  await bootstrap.prepare().catch((error: unknown) => {
    if (!isInUse(error)) throw error;
  });
  const { config, target } = bootstrap.loaded;
  await tryFlags(bootstrap.loaded);
  assertOwnGroup(bootstrap.loaded);
  const rehearsal: Rehearsal = {
    title: config.title,
    dir: target.realDir,
    log: chooseLogs(wishes, { title: config.title, dir: target.dir, realDir: target.realDir }),
    ...wants(bootstrap.loaded),
  };
  writeSync(fd, `${JSON.stringify(rehearsal)}\n`);
  closeSync(fd);
  return 0;
}

export function isInUse(error: unknown): boolean {
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  return IN_USE.has(code) || (cause !== undefined && cause !== error && isInUse(cause));
}

/** Those of the children, in their environment: a Node that does not take them ends before it runs anything. */
async function tryFlags({ config, target: { realDir: cwd }, provenance }: LoadedConfig): Promise<void> {
  const env = { ...process.env, ...config.env };
  const faultOf = (flags: readonly string[]) => new Promise<string | null>((resolve) => {
    const run = ['--inspect-port=0', '-e', 'process.exit()'];
    execFile(process.execPath, [...flags, ...run], { cwd, env, timeout: FLAGS_TAKE, killSignal: 'SIGKILL' }, (error, _, said) => {
      const refused = error?.code === BAD_FLAG || /internal.preload/.test(said) && /Cannot find module/.test(said);
      resolve(refused ? said.split('\n').find((line) => /: /.test(line)) ?? said.trim() : null);
    });
  });
  // An inspector would wait for a person, or have a port that is taken as yet.
  const flags = config.execArgv.filter((arg) => !/^--inspect(?:-brk|-wait)?(?:=|$)/.test(arg));
  const fault = await faultOf(flags);
  if (fault === null) return;
  const inEnv = flags.length === 0 || await faultOf([]) !== null;
  const where = inEnv && config.env.NODE_OPTIONS === undefined
    ? 'NODE_OPTIONS' : whereWritten(provenance, inEnv ? ['env', 'NODE_OPTIONS'] : ['execArgv']);
  throw new ClusterError('ERR_CLUSTER_CONFIG', `${where}: no worker would start: ${fault}`);
}

export function wants({ config, provenance, target: { entry } }: LoadedConfig): Pick<Rehearsal, 'listen' | 'ports'> {
  const { port, host, path, plugins } = config;
  const written = (...at: string[]) => whereWritten(provenance, at);
  const at = path === undefined ? { port, host, where: written('port') } : { path, where: written('path') };
  const byDefault = path === undefined && originOf(provenance, ['port']).from === 'default';
  const ports = LISTENING.flatMap((name): Wanted[] => {
    const options = plugins[name];
    if (typeof options !== 'object' || typeof options.port !== 'number') return [];
    const { port: its, host: on = '127.0.0.1' } = options as { port: number; host?: string };
    const place = ['plugins', name] as const;
    return [{ port: its, host: on, where: written(...place, 'port'), whereHost: written(...place, 'host'), byDefault: false }];
  });
  const hasAgent = Boolean(entry.agent ?? entry.framework);
  const ofInspectors = inspectors(config, hasAgent).map(({ who, by, host: on, port: its }): Wanted => {
    const place = by !== 'NODE_OPTIONS' ? written(by) : config.env.NODE_OPTIONS === undefined ? by : written('env', by);
    const where = `${place} (inspector of ${who})`;
    return { port: its, host: on, where, whereHost: where, byDefault: false };
  });
  return { listen: { ...at, whereHost: written('host'), byDefault }, ports: [...ports, ...ofInspectors] };
}

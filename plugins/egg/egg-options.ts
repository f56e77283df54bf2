import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { ClusterError, type LoadRequest } from '../../lib/index.js';

/** Options of egg-cluster's `startCluster`; what is not listed reaches Application and Agent as well. */
export interface EggClusterOptions {
  /** The framework's folder, or its package's name; by itself `egg.framework` of package.json, else `egg`. */
  framework?: string;
  /** An older name of it. */
  customEgg?: string;
  /** The app's directory; the working directory by default. */
  baseDir?: string;
  /** By itself EGG_WORKERS, else one for each processor. */
  workers?: number | string;
  /** By itself the one of the app's configuration, 7001; 8443 with https. */
  port?: number | string;
  /** Plain HTTP on a port of its own. */
  debugPort?: number;
  /** Worker by worker the port that it listens on. */
  ports?: number[];
  /** PEM files, and what else Node's https server takes: `passphrase`. */
  https?: boolean | { key: string; cert: string; ca?: string; passphrase?: string; [option: string]: unknown };
  key?: string;
  cert?: string;
  /** Modules that each child requires first. */
  require?: string | string[];
  /** The same client always reaches the same worker. */
  sticky?: boolean;
  /** The master's pid is written there. */
  pidFile?: string;
  /** `prod`, `local`, ...; by itself EGG_SERVER_ENV. */
  env?: string;
  title?: string;
  plugins?: Record<string, unknown> | null;
  isDebug?: boolean;
  /** `"process"`. @throws for `"worker_threads"`, which there is none of */
  startMode?: string;
  [option: string]: unknown;
}

const refused = (message: string) => new ClusterError('ERR_CLUSTER_USAGE', `startCluster: ${message}`);

/** What egg-cluster's options are in ours. */
export function requestOf(given: EggClusterOptions): LoadRequest {
  const said = Object.entries(given).filter(([, value]) => value !== null && value !== undefined);
  const options = Object.fromEntries(said) as EggClusterOptions;
  const { title, workers = process.env.EGG_WORKERS, startMode = 'process', sticky, debugPort, ports, pidFile } = options;
  if (startMode !== 'process') throw refused(`startMode: "${startMode}" is not offered: each worker and the agent is a process`);
  const baseDir = path.resolve(options.baseDir ?? '.');
  if (!existsSync(path.join(baseDir, 'package.json'))) throw refused(`${path.join(baseDir, 'package.json')} should exist`);
  const framework = frameworkPath(options.framework || options.customEgg, baseDir);
  const https = httpsOf(options);
  const env = options.env || process.env.EGG_SERVER_ENV;
  const preloads = options.require === undefined ? [] : [options.require].flat();
  const port = Number.parseInt(String(options.port ?? (https ? 8443 : '')), 10) || undefined;
  const reach = { ...options, baseDir, framework, https: https ?? false, env, port, workers: undefined };
  const own = JSON.parse(JSON.stringify(reach)) as object;
  return {
    target: baseDir,
    // There, HOST is a name to show and PORT is nothing.
    env: { ...process.env, HOST: undefined, PORT: undefined },
    inline: {
      framework, title, port,
      ...levelOf(process.env.EGG_MASTER_LOGGER_LEVEL),
      ...https && { https: { key: https.key, cert: https.cert, ...https.ca && { ca: https.ca } } },
      ...workers && Number.parseInt(String(workers), 10) > 0 && { workers: Number.parseInt(String(workers), 10) },
      ...preloads.length > 0 && { require: preloads },
      plugins: {
        ...sticky && { 'sticky-session': true },
        egg: { options: own, debugPort, ports, pidFile, asEggCluster: true },
      },
    },
  } as LoadRequest;
}

function levelOf(name: string | undefined): { log?: { level: string } } {
  const level = name?.toLowerCase() ?? '';
  return ['debug', 'info', 'warn', 'error'].includes(level) ? { log: { level } } : {};
}

type Https = Exclude<EggClusterOptions['https'], boolean | undefined>;

function httpsOf({ https, key = '', cert = '' }: EggClusterOptions): Https | undefined {
  if (!https) return undefined;
  const files: Https = https === true ? { key, cert } : https;
  for (const name of ['key', 'cert', 'ca'] as const) {
    const file = files[name];
    if (name === 'ca' && !file) continue;
    if (!file || !existsSync(file)) throw refused(`options.https.${name} should exist${file ? `: ${file}` : ''}`);
  }
  return files;
}

/** The framework's folder: as it is given, else as package.json says it, else Egg's own; looked for as Egg's tools do. */
export function frameworkPath(given: string | undefined, baseDir: string): string {
  if (given !== undefined && path.isAbsolute(given)) {
    if (!existsSync(given)) throw refused(`the framework ${given} should exist`);
    return given;
  }
  const { egg } = JSON.parse(readFileSync(path.join(baseDir, 'package.json'), 'utf8')) as { egg?: { framework?: string } };
  const name = given ?? egg?.framework ?? 'egg';
  const dirs = [...above(baseDir), ...above(process.cwd())].map((dir) => path.join(dir, 'node_modules', name));
  const folder = dirs.find((dir) => existsSync(dir)) ?? besideUs(name);
  if (folder !== undefined) return folder;
  throw refused(`the framework ${name} is not found from ${baseDir}, nor from ${process.cwd()}: is it installed?`);
}

function above(dir: string): string[] {
  const parent = path.dirname(dir);
  return parent === dir ? [dir] : [dir, ...above(parent)];
}

/** In a monorepo it may lie beside this package alone. */
function besideUs(name: string): string | undefined {
  try {
    return path.dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
  } catch {
    return undefined;
  }
}

import { existsSync, readFileSync, realpathSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { nearest } from '../../lib/kit/misuse.js';
import { frameworkPath } from '../../plugins/egg/egg-options.js';
import { usageError } from '../command.js';
import type { Argv } from '../common-bin.js';
import type { Flags } from '../flags.js';

/** The flags of egg-scripts; others reach the framework, or are Node's. */
export const startFlags: Flags = {
  title: { kind: 'text', description: 'name of the instance', standard: 'egg-server-<name in package.json>' },
  workers: { kind: 'text', alias: 'c', description: 'how many workers', standard: 'EGG_WORKERS, else one a processor' },
  port: { kind: 'text', alias: 'p', description: 'TCP port', standard: 'PORT, else the app\'s own' },
  env: { kind: 'text', description: 'EGG_SERVER_ENV of the app', standard: 'EGG_SERVER_ENV, else prod' },
  framework: { kind: 'text', description: 'folder or package of a framework on Egg', standard: 'egg.framework, else egg' },
  daemon: { kind: 'switch', description: 'return once all workers are ready, and leave it running', standard: 'off' },
  stdout: { kind: 'text', description: 'log file of a daemon', standard: '~/logs/master-stdout.log' },
  stderr: { kind: 'text', description: 'log file of a daemon for warnings and errors', standard: '~/logs/master-stderr.log' },
  timeout: { kind: 'text', description: 'how long a daemon may take to start, ms', standard: '300000' },
  'ignore-stderr': { kind: 'switch', description: 'errors in the log of a daemon do not fail its start', standard: 'off' },
  node: { kind: 'text', description: 'another Node to run it with', standard: 'this one' },
  sourcemap: { kind: 'switch', description: 'stacks show the sources, also --ts, --typescript', standard: 'egg.typescript' },
  require: { kind: 'list', alias: 'r', description: 'module that each child requires first; may be given again', standard: 'none' },
};

const OTHER_NAMES: Readonly<Record<string, string>> = { cluster: 'workers', ts: 'sourcemap', typescript: 'sourcemap' };
const OWN = new Set(['help', 'h', 'version', 'v', 'json']);

/** Among a daemon's words: its options, as `ps` shows those of egg-scripts' daemons. They say nothing that others do not. */
export const SHOWN = '--start-cluster=';

export interface Words {
  /** What the command's own flags are read from. */
  known: string[];
  /** Flags for Node. */
  node: string[];
  /** Options for the framework's `startCluster`. */
  others: Record<string, unknown>;
  /** One that is nearly a flag of ours. */
  wrong?: Error;
}

/** Tells the words of a line apart. */
export function wordsOf(line: readonly string[]): Words {
  const words: Words = { known: [], node: [], others: {} };
  for (let at = 0; at < line.length; at++) {
    const word = line[at] as string;
    if (word.startsWith(SHOWN)) continue;
    const [, no = '', name = '', value] = /^--(no-)?([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
    const own = OTHER_NAMES[name] ?? name;
    if (!word.startsWith('--') || name === '' || own in startFlags || OWN.has(name)) {
      words.known.push(own === name ? word : word.replace(name, () => own));
      continue;
    }
    const next = line[at + 1];
    const takesNext = value === undefined && no === '' && next !== undefined && !next.startsWith('-') && !existsSync(next);
    if (takesNext) at++;
    const given = takesNext ? next : value;
    if (process.allowedNodeEnvironmentFlags.has(`--${no}${name}`)) words.node.push(given === undefined ? word : `--${name}=${given}`);
    else words.others[name] = given === undefined ? no === '' : read(given);
  }
  for (const name of Object.keys(words.others)) {
    const near = nearest(name, Object.keys(startFlags));
    if (near) words.wrong ??= usageError(`--${name}: unknown flag, did you mean "--${near}"?`);
  }
  return words;
}

function read(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : text;
}

/** What the line and `eggScriptsConfig` of package.json ask for together; the line ranks first. */
export interface Settings {
  baseDir: string;
  framework: string;
  /** Name of the framework's package. */
  frameworkName: string;
  title: string;
  workers?: string;
  port?: string;
  env?: string;
  daemon: boolean;
  stdout: string;
  stderr: string;
  /** Milliseconds. */
  timeout: number;
  ignoreStderr: boolean;
  node?: string;
  require: string[];
  execArgv: string[];
  others: Record<string, unknown>;
}

interface Manifest {
  name?: string;
  egg?: { typescript?: boolean; revert?: string | string[] };
  eggScriptsConfig?: Record<string, unknown>;
}

const NODE_OPTION = 'node-options--';
const logDir = () => path.join(os.homedir(), 'logs');

export function settingsOf(argv: Argv, { node, others }: Words): Settings {
  const typed = path.resolve(argv._[0] ?? '.');
  if (!existsSync(path.join(typed, 'package.json'))) throw usageError(`${path.join(typed, 'package.json')} should exist`);
  const baseDir = realpathSync(typed);
  const { name = path.basename(baseDir), egg = {}, eggScriptsConfig = {} } = readManifest(baseDir);
  const fromFile = Object.entries(eggScriptsConfig).map(([key, value]) => [OTHER_NAMES[key] ?? key, value] as const);
  const wanted = { ...Object.fromEntries(fromFile), ...argv };
  const text = (key: string): string | undefined => {
    const value = [wanted[key]].flat().at(-1) as unknown;
    return value === undefined || value === null || value === '' ? undefined : String(value);
  };
  const number = (key: string, what: string, least: number, most: number): string | undefined => {
    const given = text(key);
    if (given === undefined || (Number(given) >= least && Number(given) <= most && Number.isInteger(Number(given)))) return given;
    throw usageError(`--${key}: expected ${what}, found "${given}"`);
  };
  const timeout = Number(number('timeout', 'milliseconds', 1, Number.MAX_SAFE_INTEGER) ?? 300_000);
  const framework = frameworkPath(text('framework'), baseDir);
  const own = fromFile.filter(([key]) => !(key in startFlags) && !key.startsWith(NODE_OPTION));
  return {
    baseDir, framework, timeout,
    frameworkName: readManifest(framework).name ?? 'egg',
    title: text('title') ?? `egg-server-${name}`,
    workers: number('workers', 'a whole number from 1 to 1024', 1, 1_024) ?? process.env.EGG_WORKERS,
    port: number('port', 'a whole number from 0 to 65535', 0, 65_535) ?? process.env.PORT,
    env: text('env'),
    daemon: wanted.daemon === true,
    stdout: text('stdout') ?? path.join(logDir(), 'master-stdout.log'),
    stderr: text('stderr') ?? path.join(logDir(), 'master-stderr.log'),
    ignoreStderr: wanted['ignore-stderr'] === true,
    node: text('node'),
    require: [argv.require ?? [], eggScriptsConfig.require ?? []].flat() as string[],
    execArgv: [
      '--no-deprecation', '--trace-warnings',
      ...[egg.revert ?? []].flat().map((revert) => `--security-revert=${revert}`),
      ...(wanted.sourcemap ?? egg.typescript) === true ? ['--enable-source-maps'] : [],
      ...nodeOptions(fromFile, node), ...node,
    ],
    others: { ...Object.fromEntries(own), ...others },
  };
}

/** Of package.json, but for those that the line says as well. */
function nodeOptions(entries: readonly (readonly [string, unknown])[], line: readonly string[]): string[] {
  return entries.filter(([key, value]) => key.startsWith(NODE_OPTION) && value !== false).flatMap(([key, value]) => {
    const flag = `--${key.slice(NODE_OPTION.length)}`;
    if (line.some((one) => one === flag || one.startsWith(`${flag}=`))) return [];
    return [value].flat().map((one) => one === true ? flag : `${flag}=${String(one)}`);
  });
}

function readManifest(dir: string): Manifest {
  try {
    return JSON.parse(readFileSync(path.join(dir, 'package.json'), 'utf8')) as Manifest;
  } catch {
    return {};
  }
}

import path from 'node:path';
import type { ForkSpec } from '../../api/hooks.js';
import type { Variables } from '../../config/environment.js';
import type { LoadedConfig } from '../../config/load.js';
import type { Config } from '../../config/schema.js';
import { WORDS, type ChildRole, type ChildWords } from '../../ipc/messages.js';
import type { Logger } from '../../kit/logger.js';
import { INSPECTOR_HOST } from '../../node/process.js';

const STANDARD = 9229;

type Inspected = Pick<Config, 'inspect' | 'inspectBrk'>;

/** The first port: the master's. Then the agent's, then one for each slot. Null: no inspector. */
function basePort({ inspect, inspectBrk }: Inspected): number | null {
  const wanted = inspectBrk === false ? inspect : inspectBrk;
  return wanted === false ? null : wanted === true ? STANDARD : wanted;
}

export const inspectPort = (config: Inspected, role: ChildRole | 'master', slot: number): number | null => {
  const base = basePort(config);
  const offset = { master: 0, agent: 1, worker: 2 + slot }[role];
  return base === null || base === 0 ? base : base + offset;
};

/** Ports in use, and by which process: a successor that starts beside its predecessor cannot have the same. */
const taken = new Map<number, { exitCode: number | null; signalCode: NodeJS.Signals | null }>();

/** Without a wish of the user the inspector stays shut; who opens it later, for the stack of a hung worker, finds a free port. */
const SHUT = `--inspect-port=${INSPECTOR_HOST}:0`;

/** Node options for a child. On its own port it is quiet, as all ports are printed once; on another one Node says which. */
export function inspectArgv(config: Inspected & Pick<Config, 'execArgv'>, role: ChildRole, slot: number): string[] {
  const port = inspectPort(config, role, slot);
  if (port === null) return withoutWish(config);
  const flag = config.inspectBrk === false ? '--inspect' : '--inspect-brk';
  const holder = taken.get(port);
  if (port === 0 || (holder && holder.exitCode === null && holder.signalCode === null)) return [`${flag}=0`];
  return [`${flag}=${port}`, '--inspect-publish-uid=http'];
}

const withoutWish = ({ execArgv }: Pick<Config, 'execArgv'>) =>
  execArgv.some((arg) => /^--(?:inspect|debug-port)/.test(arg)) ? [] : [SHUT];

export function holdsPort(execArgv: readonly string[], process: { exitCode: number | null; signalCode: NodeJS.Signals | null }): void {
  const port = /^--inspect(?:-brk)?=(\d+)$/.exec(execArgv.find((arg) => arg.startsWith('--inspect')) ?? '')?.[1];
  if (port !== undefined && port !== '0') taken.set(Number(port), process);
}

/** Opens the master's own inspector and prints all ports. */
export async function openInspector(config: Config, hasAgent: boolean, logger: Logger): Promise<void> {
  const port = inspectPort(config, 'master', -1);
  if (port === null) return;
  const inspector = await import('node:inspector');
  if (!inspector.url()) inspector.open(port, '127.0.0.1');
  if (port === 0) return;
  const workers = Array.from({ length: config.workers }, (_, slot) => `worker#${slot} ${port + 2 + slot}`);
  logger.warn(`inspector: ${[`master ${process.debugPort}`, ...hasAgent ? [`agent ${port + 1}`] : [], ...workers].join(', ')}`);
}

/** An inspector that a start opens, and what asks for it. */
export interface Inspector {
  who: string;
  by: 'inspect' | 'inspectBrk' | 'execArgv' | 'NODE_OPTIONS';
  host: string;
  port: number;
}

type Starting = Inspected & Pick<Config, 'execArgv' | 'env' | 'workers'>;

/** Those on ports that are known before. `environment`: of the master. */
export function inspectors(config: Starting, hasAgent: boolean, environment: NodeJS.ProcessEnv = process.env): Inspector[] {
  const base = inspectPort(config, 'master', -1);
  const key = config.inspectBrk === false ? 'inspect' : 'inspectBrk';
  const options = (config.env.NODE_OPTIONS ?? environment.NODE_OPTIONS ?? '').split(/\s+/);
  const by = base !== null ? key : config.execArgv.some((arg) => arg.startsWith('--inspect')) ? 'execArgv' : 'NODE_OPTIONS';
  const childOf = (role: ChildRole, slot: number, who: string): Inspector[] => {
    const port = inspectPort(config, role, slot);
    const place = inspectorOf([...options, ...port === null ? withoutWish(config) : [`--inspect=${port}`], ...config.execArgv]);
    return place && place.port !== 0 ? [{ who, by, ...place }] : [];
  };
  return [
    ...base ? [{ who: 'the master', by, host: '127.0.0.1', port: base } as const] : [],
    ...hasAgent ? childOf('agent', -1, 'the agent') : [],
    ...Array.from({ length: config.workers }, (_, slot) => childOf('worker', slot, `worker#${slot}`)).flat(),
  ];
}

/** As Node reads its flags: the last word counts, and a port alone opens nothing. */
function inspectorOf(argv: readonly string[]): { host: string; port: number } | null {
  const place = { host: '127.0.0.1', port: STANDARD };
  let open = false;
  for (const arg of argv) {
    const [, flag, value = ''] = /^--(inspect(?:-brk|-wait|-port)?|debug-port)(?:=(.*))?$/.exec(arg) ?? [];
    if (flag === undefined) continue;
    open ||= !flag.endsWith('-port');
    const [, host, port] = /^(?:(.*?):?)??(\d+)?$/.exec(value) ?? [];
    if (host) place.host = host;
    if (port !== undefined) place.port = Number(port);
  }
  return open ? place : null;
}

/**
 * Flags of the master's own Node that a child must not get: the code it was given, its debug port, and files of variables,
 * which a child inherits as the master has read them; such a file may be gone when one is forked again.
 */
const OWN = /^(?:--inspect|--debug-port|--test|--watch|--env-file)/;
const OWN_WITH_VALUE = new Set(['-e', '--eval', '-p', '--print', '-pe', '--env-file', '--env-file-if-exists']);

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

/** Of several the last one counts. */
export function portIn(execArgv: readonly string[]): number | undefined {
  for (const arg of [...execArgv].reverse()) {
    const port = /^--inspect(?:-brk|-port)?(?:-wait)?=(?:.*:)?(\d+)$/.exec(arg)?.[1];
    if (port !== undefined) return Number(port);
  }
  return undefined;
}

type Loaded = Pick<LoadedConfig, 'config' | 'target'>;

/** What plain node would give the app. The inspector's port that every child is told shows in none of its own. */
export function childWords({ role, execArgv }: ForkSpec, { config, target }: Loaded): ChildWords {
  const { app, agent, framework, script = app } = target.entry;
  const own = role === 'worker' ? script : typeof agent === 'string' ? agent : undefined;
  const shut = config.execArgv.includes(SHUT) ? -1 : execArgv.indexOf(SHUT);
  return { argv: [framework ?? own ?? target.realDir, ...config.args], execArgv: execArgv.filter((_, at) => at !== shut) };
}

/**
 * Variables with which a child knows its words before the user's preloads run, also those of NODE_OPTIONS: a module of ours
 * comes before them, and takes them away again (lib/child/words.ts).
 */
export function early(
  spec: ForkSpec, { root, environment = {} }: { root: string; environment?: Variables }, loaded: Loaded,
): ForkSpec['env'] {
  const { NODE_OPTIONS: nodeOptions } = { ...process.env, ...environment, ...spec.env };
  const file = path.join(root, 'dist/lib/child/words-first.cjs').replaceAll(/["\\]/g, '\\$&');
  return {
    NODE_OPTIONS: [`--require "${file}"`, ...nodeOptions === undefined ? [] : [nodeOptions]].join(' '),
    [WORDS]: JSON.stringify({ ...childWords(spec, loaded), nodeOptions }),
  };
}

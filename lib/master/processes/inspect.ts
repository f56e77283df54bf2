import type { Config } from '../../config/schema.js';
import type { ChildRole } from '../../ipc/messages.js';
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
const SHUT = [`--inspect-port=${INSPECTOR_HOST}:0`];

/** Node options for a child. On its own port it is quiet, as all ports are printed once; on another one Node says which. */
export function inspectArgv(config: Inspected & Pick<Config, 'execArgv'>, role: ChildRole, slot: number): string[] {
  const port = inspectPort(config, role, slot);
  if (port === null) return config.execArgv.some((arg) => /^--(?:inspect|debug-port)/.test(arg)) ? [] : SHUT;
  const flag = config.inspectBrk === false ? '--inspect' : '--inspect-brk';
  const holder = taken.get(port);
  if (port === 0 || (holder && holder.exitCode === null && holder.signalCode === null)) return [`${flag}=0`];
  return [`${flag}=${port}`, '--inspect-publish-uid=http'];
}

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

import os from 'node:os';
import v8 from 'node:v8';
import { visible, type Address, type ChildView, type ExitInfo, type ForkSpec, type Master } from '../../lib/index.js';
import { shownAddress } from './messages.js';

const NAME = 'egg';
/** The debugger's port of the agent, as Egg's tools know it. */
const AGENT_PORT = 5800;

interface Behaviour {
  given: Record<string, unknown>;
  debugPort?: number;
  name?: unknown;
  version?: unknown;
}

/** Of the debugger's flags the one that opens it, or makes a process wait. */
const INSPECT = /^--(?:inspect|debug)(?:-brk|-wait)?(?:=|$)/;

/** What egg-cluster's master says and does otherwise than ours, beyond what every Egg app has. */
export function behave(master: Master, { given, debugPort, name = 'egg', version }: Behaviour): void {
  const framework = visible(String(name));
  const isProduction = given.env ? given.env !== 'local' && given.env !== 'unittest' : process.env.NODE_ENV === 'production';
  keepCommandLine(master);
  tellStart(master, { framework, version, given, debugPort, isProduction });
  const isDebug = Boolean(given.isDebug) || process.execArgv.some((arg) => INSPECT.test(arg));
  tellEnds(master, isDebug);
  tellClose(master);
  if (!isProduction) leaveDead(master);
  if (isDebug) debug(master);
}

/** A daemon of hatchery-scripts is found among the processes by its options, as those of egg-scripts are. */
function keepCommandLine({ hooks }: Master): void {
  const { execPath, execArgv, argv } = process;
  if (!argv.some((word) => word.startsWith('--start-cluster='))) return;
  hooks.beforeStart.tap(NAME, () => { process.title = [execPath, ...execArgv, ...argv.slice(1)].join(' '); });
}

interface Told {
  framework: string;
  version: unknown;
  given: Record<string, unknown>;
  debugPort: number | undefined;
  isProduction: boolean;
}

function tellStart(master: Master, { framework, version, given, debugPort, isProduction }: Told): void {
  const { hooks, logger, config, startedAt } = master;
  const detail = isProduction ? 'info' : 'debug';
  hooks.beforeStart.tap(NAME, ({ workers }) => {
    logger[detail](`=================== ${framework} start =====================`);
    logger.info(`node version ${process.version}`);
    logger.info(`${framework} version ${String(version)}`);
    const port = master.origin('port').from === 'default' ? undefined : config.port;
    logger[detail](`start with options: ${JSON.stringify({ ...given, workers, port })}`);
  });
  let ready = 0;
  hooks.workerReady.tap(NAME, (child) => {
    const remain = Math.max(0, config.workers - ++ready);
    const address = child.addresses.find(isConfigured) ?? child.addresses[0];
    logger.info(`app_worker#${child.id}:${child.pid} started at ${address?.port ?? address?.path}, remain ${remain} `
      + `(${Date.now() - child.startedAt}ms)`);
  });
  // The line comes before the message: who waits for that reads this.
  hooks.clusterReady.tap({ name: NAME, stage: -200 }, (address) => {
    if (address === null) return;
    const took = `(${Date.now() - startedAt.getTime()}ms)`;
    logger.info(`${framework} started on ${shownAddress(address)} ${took}${config.plugins['sticky-session'] ? ' with STICKY MODE!' : ''}`);
    if (debugPort !== undefined) logger.info(`${framework} started on http://127.0.0.1:${debugPort}`);
  });
}

/** One that the configuration names; others an app may have for itself. */
const isConfigured = (address: Address): boolean => (address as { configured?: boolean }).configured === true;

const of = ({ role, id, pid }: ChildView): string => `${role === 'agent' ? 'agent' : 'app'}_worker#${id}:${pid}`;

/** `isDebug`: who kills a worker is at its debugger. */
function tellEnds(master: Master, isDebug: boolean): void {
  const { hooks, logger } = master;
  const told = new WeakSet<ChildView>();
  const others = () => JSON.stringify(master.slots.flatMap(({ current }) => current ? [String(current.pid)] : []));
  const disconnected = (child: ChildView): void => {
    if (told.has(child)) return;
    told.add(child);
    const suicide = child.intent !== null && child.intent !== 'uncaught';
    logger.info(`${of(child)} disconnect, suicide: ${suicide}, state: disconnected, current workers: ${others()}`);
    if (master.closing || !master.started) logger.info(`don't fork, because worker:${child.pid} will be kill soon`);
  };
  const died = (child: ChildView, { code, signal, cause }: ExitInfo): void => {
    if (master.closing || cause === 'requested') return;
    const state = child.role === 'agent' ? '' : `, suicide: false, state: dead), current workers: ${others()}`;
    const name = isDebug && signal === 'SIGKILL' ? '' : `nodejs.${child.role === 'agent' ? 'Agent' : 'App'}WorkerDiedError: [master] `;
    logger.error(`${name}${of(child)} died (code: ${code}, signal: ${signal}${state || ')'}`);
    if (!master.started) logger.error(`${of(child)} start fail, exiting with code:1`);
  };
  // One that leaves by itself is replaced before it is gone.
  hooks.beforeRefork.tap(NAME, (child) => {
    disconnected(child);
    return undefined;
  });
  hooks.workerExit.tap(NAME, (child, exit) => {
    disconnected(child);
    died(child, exit);
  });
  hooks.agentExit.tap(NAME, (child, exit) => {
    died(child, exit);
    if (master.closing) return;
    if (master.started) logger.info('try to start a new agent_worker after 1s ...');
    else void master.close('the agent has died in the start', { code: 1 });
  });
  hooks.workerForked.tap(NAME, ({ pid }) => { if (master.started) logger.warn(`new worker:${pid} fork`); });
}

function tellClose({ hooks, logger, deadlines }: Master): void {
  hooks.beforeClose.tap(NAME, (reason) => {
    if (reason.startsWith('SIG')) {
      const { used_heap_size: used, heap_size_limit: limit } = v8.getHeapStatistics();
      logger.info(`master is killed by signal ${reason}, closing`);
      logger.info(`system memory: total ${os.totalmem()}, free ${os.freemem()}`);
      logger.info(`process info: heap_limit ${limit}, heap_used ${used}`);
    }
    logger.info(`send kill SIGTERM to app workers, will exit with code:0 after ${deadlines.drain}ms`);
    logger.info(`wait ${deadlines.drain}ms`);
  });
  hooks.beforeDrain.tap(NAME, ({ role }, reason) => {
    if (role !== 'agent' || reason !== 'stop') return;
    logger.info(`send kill SIGTERM to agent worker, will exit with code:0 after ${deadlines.agent}ms`);
    logger.info(`wait ${deadlines.agent}ms`);
  });
  hooks.closed.tap(NAME, () => { logger.debug('close done, exiting with code:0'); });
}

/** In development a worker that died stays dead: who reads its error reloads. */
function leaveDead(master: Master): void {
  const { hooks, logger } = master;
  master.fillsLeftSlots = true;
  hooks.beforeRefork.tap(NAME, ({ pid }) => {
    logger.warn(`don't fork new work, as worker:${pid} died in env local`);
    return 'leave';
  });
}

/** Each process has a debugger where Egg's tools look for it, and the parent is told. */
function debug(master: Master): void {
  const { hooks, logger } = master;
  const flag = process.execArgv.find((arg) => INSPECT.test(arg))?.split('=')[0] ?? '--inspect-port';
  const ports = new Map<number, number>();
  const open = ({ slot, execArgv }: ForkSpec): void => {
    const port = slot < 0 ? Number(process.env.EGG_AGENT_DEBUG_PORT) || AGENT_PORT : process.debugPort + 1 + slot;
    ports.set(slot, port);
    const others = execArgv.filter((arg) => !arg.startsWith('--inspect'));
    execArgv.splice(0, execArgv.length, ...others, `${flag}=${port}`);
  };
  hooks.beforeForkAgent.tap(NAME, open);
  hooks.beforeForkWorker.tap(NAME, open);
  const tell = ({ role, slot, pid }: ChildView): void => {
    const message = { action: 'debug', from: role === 'agent' ? 'agent' : 'app', to: 'parent', data: { debugPort: ports.get(slot), pid } };
    if (process.connected) process.send?.(message, undefined, {}, () => {});
  };
  hooks.agentForked.tap(NAME, tell);
  hooks.workerForked.tap(NAME, tell);
  hooks.workerExit.tap(NAME, (_, { signal }) => {
    if (signal !== 'SIGKILL' || master.closing) return;
    logger.error('worker kill by debugger, exiting...');
    void master.close('worker kill by debugger');
  });
}

import { setTimeout as delay } from 'node:timers/promises';
import { ClusterError } from '../../kit/errors.js';
import { atMost } from '../../kit/time.js';
import type { Core } from '../core.js';
import { outletsSettled } from '../outlet.js';
import type { Child } from '../processes/child.js';
import { fullName } from '../processes/exit-report.js';

/** What the taps of a gate still get when somebody is in a hurry, ms. */
const GATE_IN_A_HURRY = 1_000;

/** What workers get to cut visibly what they answer, ms: the connections of a process that is killed end in order. */
const CUT = 500;

/** Who waits in the kernel and in the master is taken at a stop within these ms; what is over it, of their crowd, the drain has less. */
const HANDING = 1_000;

export interface CloseOptions {
  /** Hurries: everything is killed. */
  force?: boolean;
  code?: number;
  /** Milliseconds after which it hurries by itself. */
  within?: number;
}

/**
 * Drains the workers, closes the agent, resolves with the exit code. It wins over all that is going on; a second call with
 * `force` hurries.
 */
export function close(core: Core, reason: string, { force = false, code = 0, within }: CloseOptions = {}): Promise<number> {
  if (force) core.life.hurry();
  if (within !== undefined) void atMost(within, core.life.exited).then((ended) => { if (!ended) core.life.hurry(); });
  return core.life.closed ??= closeNow(core, reason, code);
}

/** A start that has failed: who is up, or about to be, runs its `onClose` functions, as it may have told others that it is there. */
export function closeFailedStart(core: Core): Promise<number> {
  return close(core, 'start failed', { code: 1, within: core.deadlines.agent });
}

/** Clusters that end the process with them; of several in one process, the last one does. */
const owners = new Set<Core>();
let worst = 0;

/** From its start on a cluster is one of those that the process is there for. Returns what ends that. */
export function ownProcess(core: Core): () => void {
  owners.add(core);
  return () => { owners.delete(core); };
}

/** Ends by its own decision or by a signal: the process ends with it, and with the highest code of those that ended so. */
export async function closeAndExit(core: Core, reason: string, options: CloseOptions = {}): Promise<void> {
  const code = await close(core, reason, options);
  if (!core.options.ownsProcess) return;
  worst = Math.max(worst, code);
  if (owners.size === 0) process.exit(worst);
  core.logger.info(`the process goes on, with ${owners.size} other cluster${owners.size === 1 ? '' : 's'}`);
}

async function closeNow(core: Core, reason: string, code: number): Promise<number> {
  const { life, hooks, logger, faults, tasks, spares, listeners, reaper, leftovers, agent, workers, childOutput } = core;
  const gate = (passed: Promise<unknown>) => Promise.race([
    passed,
    life.hurried.then(() => delay(GATE_IN_A_HURRY, undefined, { ref: false })),
  ]);
  life.enter('close');
  spares.end();
  tasks.close(new ClusterError('ERR_CLUSTER_CLOSING', `the cluster is closing (${reason})`));
  logger.info(`closing (${reason})`);
  // After a line: a reader who has stalled by now has shown it.
  const began = performance.now();
  let hurries = false;
  void life.hurried.then(() => { hurries = true; });
  for (const slot of [agent, ...workers.slots]) slot.refork.cancel();
  const step = (passed: Promise<unknown>) => passed.catch((error: unknown) => faults.caught(`close (${reason})`, error));
  const killed = step(life.hurried.then(() => hurry(core)));
  await step(gate(hooks.beforeClose.promise(reason)));
  await Promise.race([step(drain(core)), killed]);
  // A fork that was under way when the close came.
  await step(kill(core));
  await step(leftovers.end(life.hurried));
  faults.run('listeners', () => listeners.end());
  await step(gate(hooks.closed.promise(reason)));
  const { installation, dir, cleanup } = core;
  const undo = [() => childOutput.end(), () => installation.release(), () => dir.remove(), () => reaper.end(), ...cleanup.reverse()];
  for (const one of undo) faults.run(`close (${reason})`, one);
  life.enter('closed');
  logger.info(`exit with code:${code}`);
  await outletsSettled(began, () => hurries);
  life.end(code);
  return code;
}

const kill = ({ workers, agent }: Core) => Promise.all([...workers.children(), ...agent.children()].map((child) => child.kill('stop')));

async function hurry(core: Core): Promise<void> {
  for (const worker of core.workers.ready()) void worker.close('stop', 0);
  const draining = core.workers.children().filter(({ state }) => state === 'draining');
  for (const { channel } of draining) channel.send('child.hurry', null);
  await atMost(CUT, Promise.all(draining.map(({ exited }) => exited)));
  await kill(core);
}

/** Milliseconds between two looks whether somebody still waits for a worker that starts. */
const LOOK = 10;

/**
 * The last worker has died or left a moment ago: who has come since waits for the next one, which is on its way, and is answered
 * (test/integration/drain-nobody-ready.test.ts).
 */
async function serveThoseWhoWait({ life, workers, listeners }: Core, most: number): Promise<void> {
  const end = performance.now() + most;
  const starts = ({ state }: Child): boolean => state === 'forked' || state === 'booting';
  const isServed = (): boolean => workers.ready().length > 0 || !workers.slots.some((slot) => slot.children().some(starts));
  const waits = (): boolean => listeners.views.some(({ longestWait }) => longestWait > 0);
  if (!life.announced) return;
  // A look after the first ones, as whoever has just come is accepted meanwhile.
  while (!isServed() && performance.now() < end) if (await atMost(LOOK, life.hurried) || !waits()) return;
}

/**
 * Readiness is off already. Then: `shutdownDelay`, so that a load balancer sees it; no new connections; workers drain, all
 * at once; the agent closes last, as workers may still need it. Nothing here waits longer than the deadlines together; each
 * child has its own SIGKILL timer.
 */
async function drain(core: Core): Promise<void> {
  const { options, life, tasks, deadlines, listeners, workers, ducks, standbys, agent } = core;
  // Of a start that has failed no load balancer knows.
  if (deadlines.shutdownDelay > 0 && life.announced) {
    tasks.step('close', `waiting ${deadlines.shutdownDelay}ms (shutdownDelay)`);
    await atMost(deadlines.shutdownDelay, life.hurried);
  }
  const began = performance.now();
  const half = Math.ceil(deadlines.drain / 2);
  await serveThoseWhoWait(core, half);
  await listeners.stop(HANDING, Math.max(HANDING, half));
  // Who is handed out late has less time for its answer: the whole takes no longer than the deadlines say.
  const late = Math.max(0, Math.round(performance.now() - began) - HANDING);
  deadlines.drain = Math.max(half, deadlines.drain - late);
  const waiting = standbys.children();
  const count = workers.children().length - waiting.length;
  const what = options.alone ? 'the app' : `${count} worker${count === 1 ? '' : 's'}`;
  if (count > 0) tasks.step('close', `closing ${what}, within ${deadlines.drain}ms`);
  const waited = waiting.map((child) => standbys.end(child, 'stop'));
  await Promise.all([ducks.end(), ...waited, ...workers.all.flatMap((slot) => slot.children().map(async (child) => {
    await slot.departures.drain(child, 'stop');
    await child.exited;
    tasks.tell('close', `${fullName(child)} is gone`, { slot: child.slot, pid: child.pid });
  }))]);
  await Promise.all(workers.children().map((child) => child.kill('stop')));
  if (agent.children().length > 0) tasks.step('close', `closing the agent, within ${deadlines.agent}ms`);
  await Promise.all(agent.children().map((child) => agent.departures.drain(child, 'stop')));
}

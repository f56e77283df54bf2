import type { LoadedConfig } from '../../config/load.js';
import type { ForkSpec, Hooks } from '../../api/hooks.js';
import { WARM, type BootInfo } from '../../ipc/messages.js';
import type { ChildRole } from '../../ipc/messages.js';
import type { Logger } from '../../kit/logger.js';
import { Child, type ChildListener } from './child.js';
import { forkAgent, forkWorker, inheritedExecArgv, type ForkPlace } from './fork.js';
import { holdsPort, inspectArgv } from './inspect.js';
import type { Listeners } from '../connections/listeners.js';
import type { Reaper } from './reaper.js';
import type { Spares } from './spares.js';

/** What children of one generation are forked from: a reload makes a new one and keeps the old until it has succeeded. */
export interface Release {
  generation: number;
  loaded: LoadedConfig;
  /** For a framework's own use; the same for all its processes, and through reloads. */
  clusterPort?: number;
}

/** How long children may take to close, ms; set by graceful-exit. */
export interface Deadlines {
  drain: number;
  agent: number;
  /** Between "not ready any more" and the first closed port. */
  shutdownDelay: number;
  /** For a worker that leaves after an uncaught exception. */
  uncaught: number;
}

/** What both groups need of the master. */
export interface Crew {
  readonly hooks: Hooks;
  readonly logger: Logger;
  readonly deadlines: Deadlines;
  readonly listeners: Listeners;
  readonly reaper: Reaper;
  readonly spares: Spares;
  /** The boot information of a child, but for its id. */
  boot(role: ChildRole, slot: number, release: Release): Omit<BootInfo, 'id'>;
  stdio(): ForkPlace['stdio'];
}

/** setTimeout's limit, ms. */
const LONGEST = 2 ** 31 - 1;

const counters: Record<ChildRole, number> = { agent: 0, worker: 0 };

/** Forks one child: the gate hooks, the process, its Child, the hooks that observe. Rejects when a gate says no. */
export async function fork(crew: Crew, role: ChildRole, slot: number, release: Release, listener: ChildListener): Promise<Child> {
  const { hooks, spares } = crew;
  const { config } = release.loaded;
  const boot: BootInfo = { ...crew.boot(role, slot, release), id: ++counters[role] };
  const spec = specOf(boot, release);
  await (role === 'agent' ? hooks.beforeForkAgent : hooks.beforeForkWorker).promise(spec);
  const place = placeOf(crew, release);
  const key = role === 'worker' ? spares.keyFor(spec, place) : null;
  const forked = role === 'agent' ? forkAgent(spec, place) : (key !== null && spares.take(spec, key)) || forkWorker(spec, place);
  const { pid } = forked.process;
  // Before it is told what to run: if that loops, nobody else could end it once the master is gone.
  if (pid !== undefined) crew.reaper.add(pid);
  holdsPort(spec.execArgv, forked.process);
  // Under --inspect-brk a child waits for a person.
  const child = new Child(forked, boot, listener, config.inspectBrk === false ? config.startTimeout : LONGEST);
  if (role === 'worker') crew.listeners.watch(child);
  if (key !== null) void Promise.race([child.becameReady, child.exited]).then(() => spares.prepare(spec, key, () => forkSpare(spec, place, release)));
  if (pid !== undefined) void child.exited.then(() => crew.reaper.drop(pid));
  (role === 'agent' ? hooks.agentForked : hooks.workerForked).call(child);
  return child;
}

/**
 * The first workers wait for the agent: their processes come up meanwhile, empty, as spares. What they are forked from is
 * guessed; where a tap of beforeForkWorker has it otherwise, the guess is thrown away.
 */
export function warmWorkers(crew: Crew, count: number, release: Release): void {
  const place = placeOf(crew, release);
  for (let slot = 0; slot < count; slot++) {
    const spec = specOf(crew.boot('worker', slot, release), release);
    crew.spares.warm(spec, place, () => forkSpare(spec, place, release));
  }
}

/** It is told the entry, to start a TypeScript loader for it. */
const forkSpare = (spec: ForkSpec, place: ForkPlace, { loaded: { target } }: Release) =>
  forkWorker({ ...spec, env: { ...spec.env, [WARM]: target.entry.app ?? '' } }, place);

function specOf({ role, slot, generation, listen }: Omit<BootInfo, 'id'>, { loaded: { config } }: Release): ForkSpec {
  return {
    role,
    slot,
    generation,
    env: environment({ slot, listen }, config.env),
    execArgv: [...inheritedExecArgv(), ...inspectArgv(config, role, slot), ...config.execArgv, ...config.require.flatMap((one) => ['--require', one]), ...config.import.flatMap((one) => ['--import', one])],
  };
}

const placeOf = (crew: Crew, { loaded: { target } }: Release): ForkPlace => ({ cwd: target.cwd, stdio: crew.stdio() });

function environment({ slot, listen }: Pick<BootInfo, 'slot' | 'listen'>, own: Record<string, string>): Record<string, string> {
  return {
    PORT: listen.path ?? String(listen.port),
    ...(listen.host ? { HOST: listen.host } : {}),
    ...(slot >= 0 ? { CLUSTER_SLOT: String(slot) } : {}),
    ...own,
  };
}

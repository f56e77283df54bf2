import { statSync } from 'node:fs';
import type { ChildView, ExitInfo } from '../../api/child.js';
import type { FillDecision, ForkSpec, Hooks } from '../../api/hooks.js';
import type { Deadlines } from '../../api/plugin.js';
import { valid } from '../../ipc/intake.js';
import type { Adoption, ChildRole, CloseReason } from '../../ipc/messages.js';
import { ClusterError } from '../../kit/errors.js';
import { isObject, show } from '../../kit/misuse.js';
import type { Faults } from '../../kit/faults.js';
import type { Logger } from '../../kit/logger.js';
import { signal } from '../../kit/processes.js';
import type { Life } from '../life.js';
import type { Release } from '../releases.js';
import type { Child, ForkListener } from './child.js';
import { logExit, processName, startFailure } from './exit-report.js';
import type { ForkPlace, Forked } from './forked.js';

interface Spare {
  /** What it was forked from: only a worker that would be forked from the same may be made of it. */
  key: string;
  forked: Forked;
}

/** Code that runs before the boot information comes: it may have changed when the spare is needed. */
const PRELOADS = /(?:^|\s)(?:-r|--require|--import|--loader|--experimental-loader|--env-file)|--inspect(?:-brk|-wait)?(?:=|$)/;
/** Milliseconds after a worker's ready: its first answers come before its spare. */
const LATER = 150;

/**
 * A process for a slot that has started Node and loaded the runtime, and waits for its boot information: the next worker of
 * the slot is made of it and saves that time. At a start they come up beside the agent, which the workers wait for. Beyond
 * that they are off unless a plugin turns them on, as each costs some 40 MB; for development.
 */
export class Spares {
  /** One for each slot, always. */
  enabled = false;
  readonly #spares = new Map<number, Spare>();
  readonly #timers = new Map<number, NodeJS.Timeout>();
  readonly #faults: Faults;

  constructor(faults: Faults) {
    this.#faults = faults;
  }

  /** Whether a spare may be had, and what it has to fit. */
  keyFor(spec: ForkSpec, place: ForkPlace): string | null {
    return this.enabled || this.#spares.has(spec.slot) ? spareKey(spec, place) : null;
  }

  /** A spare of this slot that fits; one that does not is ended. */
  take({ slot }: ForkSpec, key: string): Forked | null {
    clearTimeout(this.#timers.get(slot));
    const spare = this.#spares.get(slot);
    if (!spare) return null;
    this.#spares.delete(slot);
    if (spare.key === key && alive(spare.forked)) return spare.forked;
    end(spare);
    return null;
  }

  /** Makes one for the slot a little later, unless there is one. */
  prepare(spec: ForkSpec, key: string, fork: () => Forked): void {
    if (!this.enabled || preloads(spec)) return;
    const { slot } = spec;
    clearTimeout(this.#timers.get(slot));
    this.#timers.set(slot, setTimeout(this.#faults.guard('spare process', () => {
      if (this.enabled) this.#make(slot, key, fork);
    }), LATER).unref());
  }

  /** Makes one at once, for a worker that is sure to come. */
  warm(spec: ForkSpec, place: ForkPlace, fork: () => Forked): void {
    // What development adds to the Node options cannot be guessed.
    if (!this.enabled && !preloads(spec)) this.#make(spec.slot, spareKey(spec, place), fork);
  }

  #make(slot: number, key: string, fork: () => Forked): void {
    if (this.#spares.has(slot)) return;
    const spare = { key, forked: fork() };
    this.#spares.set(slot, spare);
    const { process: child, worker } = spare.forked;
    const drop = () => { if (this.#spares.get(slot) === spare) this.#spares.delete(slot); };
    child.on('error', drop);
    // node:cluster says it again on the worker, where nobody listens yet: that would end the master.
    worker?.on('error', () => {});
    child.once('exit', drop);
  }

  /** Ends those that wait: what they have already read is not up to date any more. */
  discard(): void {
    for (const spare of this.#spares.values()) end(spare);
    this.#spares.clear();
  }

  end(): void {
    this.enabled = false;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.discard();
  }
}

/** Code of somebody else's runs in it before it is told anything. */
export const preloads = ({ execArgv, env }: ForkSpec): boolean =>
  [...execArgv, process.env.NODE_OPTIONS ?? '', env.NODE_OPTIONS ?? ''].some((text) => PRELOADS.test(text));

/**
 * All that a process is forked from. The directory by its inode: one that was made anew is another one. The environment is the
 * master's own too, which a reload reads anew from its files (dev-loaded).
 */
function spareKey({ env, execArgv }: ForkSpec, place: ForkPlace): string {
  return JSON.stringify([env, process.env, execArgv, place, statSync(place.cwd, { throwIfNoEntry: false })?.ino]);
}

const alive = ({ process: { exitCode, signalCode, connected } }: Forked): boolean => exitCode === null && signalCode === null && connected;

function end({ forked: { process: { pid } } }: Spare): void {
  if (pid !== undefined) signal(pid, 'SIGKILL');
}

/** The slot of a worker that stands by for any. */
export const NO_SLOT = -1;
/** How long one that has waited may take to hear that it was adopted: it may hang, and nobody has noticed yet; ms. */
const HEARS = 2_000;

export interface StandbysNeeds {
  readonly hooks: Hooks;
  readonly logger: Logger;
  readonly life: Life;
  readonly faults: Faults;
  readonly deadlines: Deadlines;
  readonly forker: {
    fork(role: ChildRole, slot: number, release: Release, listener: ForkListener, how: { standby: boolean }): Promise<Child>;
    /** What one of this release is told that a slot adopts. */
    placeIn(slot: number, release: Release): { adoption: Adoption; listen: Child['listen'] };
  };
}

/**
 * Workers in no slot, which load the app, or have loaded it, and listen nowhere until a slot adopts them. How many there are, and
 * which slot gets which, is a plugin's matter; here is seen to that none outlives the cluster.
 */
export class Standbys {
  /** Each with what is to be done when it has loaded. */
  readonly #all = new Map<Child, () => void>();
  readonly #needs: StandbysNeeds;

  constructor(needs: StandbysNeeds) {
    this.#needs = needs;
  }

  /** In the order of their forks. */
  children(): Child[] {
    return [...this.#all.keys()];
  }

  has(child: unknown): boolean {
    return this.#all.has(child as Child);
  }

  /** `slot`: the only one that may adopt it. @throws ClusterError ERR_CLUSTER_CLOSING; what a gate says */
  async fork(release: Release, slot = NO_SLOT): Promise<Child> {
    const { forker, faults, life, deadlines } = this.#needs;
    const child = await forker.fork('worker', slot, release, {
      starts: () => { if (life.closing) throw new ClusterError('ERR_CLUSTER_CLOSING', 'the cluster is closing'); },
      ready: (one) => one.cutOff('it says that it is ready, and is in no slot'),
      leaving: (one) => one.limit(deadlines.drain),
      onlyStreams: () => {},
    }, { standby: true });
    this.#all.set(child, () => {});
    child.channel.on('child.standby', () => this.#loaded(child), valid['child.standby']);
    faults.watch(processName(child), child.exited.then((exit) => this.#gone(child, exit)));
    if (life.closing) void child.kill('stop');
    return child;
  }

  /** Ends one that is not wanted any more; resolves when it is gone. */
  async end(child: Child, reason: CloseReason): Promise<void> {
    await child.close(reason, this.#needs.deadlines.drain);
  }

  /**
   * What a tap wants this slot to get in place of a process that is forked; null: nothing. Resolves with null where that has ended
   * meanwhile; `strict`: rejects with its failure, as the next one of the same code would fail as well.
   */
  fill(spec: ForkSpec, release: Release, listener: ForkListener, strict: boolean): Promise<Child | null> | null {
    const decision = this.#needs.hooks.fillSlot.call(spec);
    return decision === undefined ? null : this.#take(decision, spec, release, listener, strict);
  }

  async #take(
    decision: NonNullable<FillDecision>, { slot, entry, dir }: ForkSpec, release: Release, listener: ForkListener, strict: boolean,
  ): Promise<Child | null> {
    const { startTimeout } = release.loaded.config;
    const given = await Promise.resolve(decision.child).catch((error: unknown) => {
      if (strict) throw error;
      return null;
    });
    if (given === null) return null;
    const child = this.#fitting(given, slot, release);
    if (child.entry !== entry || child.dir !== dir) return null;
    if (child.standsBy === 'loading') await this.#settled(child);
    if (this.#all.has(child) && child.state === 'booting') {
      try {
        listener.starts();
        return this.#adopt(child, slot, release, listener);
      } catch (error) {
        // Of nobody else's: whoever wants it has been asked already.
        void this.end(child, 'abort');
        throw error;
      }
    }
    if (strict) throw startFailure(child, startTimeout);
    return null;
  }

  /** @throws ClusterError ERR_CLUSTER_HOOK */
  #fitting(child: ChildView | undefined, slot: number, { generation }: Release): Child {
    const own = child as Child | undefined;
    const isOne = isObject(child) && (this.has(child) || child.state === 'exited');
    if (own && isOne && own.generation === generation && (own.slot === NO_SLOT || own.slot === slot)) return own;
    throw new ClusterError('ERR_CLUSTER_HOOK', `hook fillSlot: expected as \`child\` one that stands by for slot ${slot}, `
      + `generation ${generation}, found ${isObject(child) ? `one of slot ${child.slot}, generation ${child.generation}` : show(child)}`);
  }

  #adopt(child: Child, slot: number, release: Release, listener: ForkListener): Child {
    const { forker, logger, hooks } = this.#needs;
    const { adoption, listen } = forker.placeIn(slot, release);
    this.#all.delete(child);
    Object.assign(child, { slot, standsBy: null, startedAt: Date.now(), startedTick: performance.now(), listener, listen });
    let heard = false;
    child.channel.on('child.adopted', () => {
      if (heard || child.state !== 'booting') return;
      heard = true;
      child.time.arm(release.loaded.config.startTimeout, () => void child.kill('startTimeout'));
    }, valid['child.adopted']);
    child.channel.send('child.adopt', adoption);
    child.time.arm(HEARS, () => void child.kill('unresponsive'));
    logger.info(`${processName(child)} has stood by, and is adopted`);
    hooks.adopted.call(child, slot);
    return child;
  }

  /** Resolves when it has loaded the app, or will not any more. */
  async #settled(child: Child): Promise<void> {
    const loaded = new Promise<void>((resolve) => { this.#all.set(child, resolve); });
    await Promise.race([loaded, child.exited]);
  }

  /** It may wait as long as it likes. */
  #loaded(child: Child): void {
    if (child.standsBy !== 'loading' || child.state !== 'booting') return;
    const { logger, hooks } = this.#needs;
    child.standsBy = 'loaded';
    child.time.disarm();
    logger.info(`${processName(child)} stands by, generation ${child.generation} (${Date.now() - child.startedAt}ms)`);
    hooks.standbyReady.call(child);
    this.#all.get(child)?.();
  }

  #gone(child: Child, exit: ExitInfo): void {
    if (!this.#all.delete(child)) return;
    this.#needs.hooks.workerExit.call(child, exit);
    logExit(this.#needs.logger, child, exit);
  }
}

import { statSync } from 'node:fs';
import type { ForkSpec } from '../../api/hooks.js';
import type { Faults } from '../../kit/faults.js';
import { signal } from '../../kit/processes.js';
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

import { ClusterError } from '../../kit/errors.js';
import type { CloseReason } from '../../ipc/messages.js';
import { settled } from './agent-group.js';
import type { Child, ChildListener, ExitInfo } from './child.js';
import { fork, type Crew, type Release } from './crew.js';
import { describeExit, nameOf, startFailure } from './exit-report.js';
import { inWindow, limitReached, nextStreak, reforkDelay } from './refork-policy.js';
import { Slot } from './slot.js';

export interface WorkerEvents {
  ready(child: Child): void;
  exit(child: Child): void;
  message(child: Child, message: unknown): void;
  /** No replacements any more. */
  closing(): boolean;
  /** The service has been running: a worker that dies is replaced and does not end the start. */
  started(): boolean;
  release(): Release;
  limitReached(decision: 'degrade' | 'exit'): void;
}

/** How long a worker that listens may take to be ready, when it is dismissed in between; ms. */
const ALMOST_READY = 1_000;

/** N slots, and a worker in each. Forks, replaces the dead, drains; when to reload or stop is decided above. */
export class WorkerGroup {
  /** Slots that a `beforeRefork` tap left empty will be filled again by whoever left them: dev-reload, at the next save. */
  leftReturn = false;
  slots: Slot[] = [];
  /** Times (ms since the epoch) of unexpected deaths, of all slots together as in the seed. */
  deaths: number[] = [];
  readonly #crew: Crew;
  readonly #events: WorkerEvents;
  #limited = false;
  readonly #dismissed = new WeakSet<Child>();

  constructor(crew: Crew, events: WorkerEvents) {
    this.#crew = crew;
    this.#events = events;
  }

  /** Every process of the group that is not gone. */
  children(): Child[] {
    return this.slots.flatMap((slot) => slot.children());
  }

  ready(): Child[] {
    return this.slots.flatMap((slot) => slot.ready ? [slot.current as Child] : []);
  }

  /** Somebody is starting, waits to start, or stays away on purpose. */
  get pending(): boolean {
    return this.slots.some((slot) => slot.pending || (slot.left && this.leftReturn));
  }

  /** Makes slots up to `count` and forks a worker in each new one, in parallel. Rejects with the first that fails. */
  async grow(count: number, release: Release): Promise<void> {
    const added: Slot[] = [];
    while (this.slots.length < count) {
      const slot = new Slot(this.slots.length);
      this.slots.push(slot);
      added.push(slot);
    }
    await Promise.all(added.map(async (slot) => {
      const child = await this.#fork(slot, release);
      slot.current = child;
      await this.settle(child, release);
    }));
    // Ready, and gone before the others were: nobody replaces it before the start is done, so the start has failed.
    const died = this.#events.started() ? undefined : added.find((slot) => slot.current === null);
    if (died) throw new ClusterError('ERR_CLUSTER_START', `worker#${died.index} died before all were ready: ${died.lastExit ? describeExit(died.lastExit) : 'it left'}`, { detail: died.lastExit?.error });
  }

  /** Empty slots up to `count`, to be filled by a restart. */
  addSlots(count: number): void {
    while (this.slots.length < count) this.slots.push(new Slot(this.slots.length));
  }

  /** Takes the processes of a slot out of service with nobody to replace them yet; resolves when they are gone. */
  async vacate(slot: Slot, reason: CloseReason): Promise<void> {
    slot.cancelRefork();
    const { current } = slot;
    slot.current = null;
    if (current && current.state !== 'exited') slot.departing.add(current);
    await Promise.all(slot.children().map((child) => this.dismiss(child, reason)));
  }

  /** Ends a worker that is not wanted any more: at once while nobody has reached it yet, else when it has answered. */
  async dismiss(child: Child, reason: CloseReason): Promise<void> {
    if (child.state === 'draining' || this.#dismissed.has(child)) {
      await child.exited;
      return;
    }
    this.#dismissed.add(child);
    const reached = this.#crew.listeners.leave(child);
    // It listens, and may have accepted already: what it has accepted would be lost.
    if (reached && child.state !== 'ready') await within(ALMOST_READY, settled(child));
    await (child.state === 'ready' ? this.drain(child, reason) : child.kill('abort'));
  }

  /** Takes the slots above `count` away and drains their workers. */
  async shrink(count: number): Promise<void> {
    const removed = this.slots.splice(count);
    await Promise.all(removed.map(async (slot) => {
      slot.cancelRefork();
      await Promise.all(slot.children().map((child) => this.drain(child, 'scale')));
    }));
  }

  /** Forks a replacement that is not in charge yet; resolves when it is ready, rejects with its own failure. */
  async succeed(slot: Slot, release: Release): Promise<Child> {
    const child = await this.#fork(slot, release);
    slot.successor = child;
    try {
      await this.settle(child, release);
    } catch (error) {
      slot.successor = null;
      throw error;
    }
    return child;
  }

  /** Puts the successor in charge and drains its predecessor. */
  async handOver(slot: Slot, reason: CloseReason): Promise<void> {
    const { current, successor } = slot;
    if (!successor) return;
    slot.cancelRefork();
    slot.successor = null;
    slot.current = successor;
    slot.left = false;
    slot.restarts++;
    if (!current || current.state === 'exited') return;
    slot.departing.add(current);
    await this.drain(current, reason);
  }

  /** A replacement first, ready and listening, then the old one goes. */
  async replace(slot: Slot, release: Release, reason: CloseReason): Promise<void> {
    await this.succeed(slot, release);
    await this.handOver(slot, reason);
  }

  /** Routes nothing more to it, tells it to close, and kills it at the deadline. */
  async drain(child: Child, reason: CloseReason, timeout = this.#crew.deadlines.drain): Promise<ExitInfo> {
    try {
      await this.#crew.hooks.beforeDrain.promise(child, reason);
    } catch (error) {
      this.#crew.logger.error(error as Error);
    }
    this.#crew.listeners.leave(child);
    return child.close(reason, timeout);
  }

  /** Resolves when a child is ready; rejects with ERR_CLUSTER_START or _START_TIMEOUT and the child's own error. */
  async settle(child: Child, release: Release): Promise<Child> {
    await settled(child);
    if (child.readyAt === null) throw startFailure(child, release.loaded.config.startTimeout);
    return child;
  }

  cancelReforks(): void {
    for (const slot of this.slots) slot.cancelRefork();
  }

  async #fork(slot: Slot, release: Release): Promise<Child> {
    const child = await fork(this.#crew, 'worker', slot.index, release, this.#listener(slot));
    void child.exited.then((exit) => this.#gone(slot, child, exit));
    if (this.#events.closing()) {
      void child.kill('stop');
      throw new ClusterError('ERR_CLUSTER_CLOSING', 'the cluster is closing');
    }
    return child;
  }

  #listener(slot: Slot): ChildListener {
    return {
      entered: (child, state) => {
        if (state !== 'ready') return;
        this.#crew.logger.info(`app_worker#${child.id}:${child.pid} (slot ${child.slot}) started (${Date.now() - child.startedAt}ms)`);
        this.#crew.hooks.workerReady.call(child);
        this.#events.ready(child);
      },
      leaving: (child, reason) => this.#leaving(slot, child, reason),
      message: (child, message) => this.#events.message(child, message),
    };
  }

  /** It drains by its own decision: a replacement starts now. */
  #leaving(slot: Slot, child: Child, reason: CloseReason): void {
    const { deadlines, listeners, logger } = this.#crew;
    listeners.leave(child);
    child.limit(reason === 'uncaught' ? deadlines.uncaught : deadlines.drain);
    if (slot.current !== child) return;
    logger.info(`app_worker#${child.id}:${child.pid} (slot ${child.slot}) leaves (${reason})`);
    slot.current = null;
    slot.departing.add(child);
    if (this.#events.closing()) return;
    if (reason === 'uncaught') this.#died(slot, child, { cause: 'crash', code: 1, signal: null, uptime: Date.now() - child.startedAt });
    else if (this.slots.includes(slot)) this.#left(slot, child);
  }

  #gone(slot: Slot, child: Child, exit: ExitInfo): void {
    const { hooks, logger } = this.#crew;
    slot.departing.delete(child);
    slot.lastExit = { ...exit, pid: child.pid, at: new Date().toISOString(), ...(child.failure ? { error: child.failure.error.message } : {}) };
    hooks.workerExit.call(child, exit);
    logger[exit.cause === 'requested' ? 'info' : 'error'](`app_worker#${child.id}:${child.pid} (slot ${child.slot}) ${describeExit(exit)}`);
    const inCharge = slot.current === child;
    if (inCharge) slot.current = null;
    if (slot.successor === child) slot.successor = null;
    this.#events.exit(child);
    if (!inCharge || this.#events.closing() || !this.#events.started() || !this.slots.includes(slot)) return;
    if (exit.cause === 'requested') this.#left(slot, child);
    else this.#died(slot, child, exit);
  }

  /** No death that counts; but an app that ends itself again and again gets the growing delay as well. */
  #left(slot: Slot, child: Child): void {
    const options = this.#events.release().loaded.config.refork;
    slot.streak = nextStreak(slot.streak, Date.now() - child.startedAt, options);
    this.#refork(slot, reforkDelay(slot.streak, options));
  }

  /** An unexpected death: hooks, the count, the delay; the slot is never lost. */
  #died(slot: Slot, child: Child, exit: ExitInfo): void {
    const { hooks, logger } = this.#crew;
    const options = this.#events.release().loaded.config.refork;
    const now = Date.now();
    this.deaths = [...inWindow(this.deaths, now, options), now];
    slot.streak = nextStreak(slot.streak, exit.uptime, options);
    let delay = reforkDelay(slot.streak, options);

    if (!limitReached(this.deaths, now, options)) this.#limited = false;
    else {
      delay = Math.max(delay, options.maxDelay);
      const decision = hooks.reachReforkLimit.call(slot.index, this.deaths) ?? options.onLimit;
      if (!this.#limited) logger.error(`refork limit reached: ${this.deaths.length} deaths within ${options.duration}ms (onLimit: ${decision})`);
      this.#limited = true;
      this.#events.limitReached(decision);
      if (decision === 'exit') return;
    }
    const decision = hooks.beforeRefork.call(child, exit);
    if (decision === 'leave') {
      slot.left = true;
      logger.warn(`slot ${slot.index} is left empty, as a beforeRefork tap says`);
      return;
    }
    this.#refork(slot, decision?.delay ?? delay);
  }

  #refork(slot: Slot, delay: number): void {
    slot.cancelRefork();
    if (delay > 0) this.#crew.logger.warn(`slot ${slot.index} is forked again in ${delay}ms (${slot.streak} ends in a row)`);
    const again = () => {
      slot.refork = null;
      slot.left = false;
      if (this.#events.closing() || !this.slots.includes(slot)) return;
      slot.restarts++;
      this.#fork(slot, this.#events.release()).then((child) => {
        // A reload may have filled the slot meanwhile.
        if (slot.current === null && this.slots.includes(slot)) slot.current = child;
        else void child.close('abort', this.#crew.deadlines.drain);
      }, (error: Error) => {
        if (this.#events.closing()) return;
        this.#crew.logger.error(`${nameOf({ role: 'worker', slot: slot.index })} could not be forked`, { error });
        this.#refork(slot, this.#events.release().loaded.config.refork.maxDelay);
      });
    };
    // Never forked within the exit event itself: the channel's own end is still to be handled.
    slot.refork = { timer: setTimeout(again, delay), delay };
  }
}

/** Resolves with the promise, or after `limit` ms. */
export async function within(limit: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([promise, new Promise((resolve) => { timer = setTimeout(resolve, limit); })]);
  clearTimeout(timer);
}

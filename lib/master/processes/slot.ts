import type { ExitInfo, LastExit, SlotView } from '../../api/child.js';
import type { ChildRole, CloseReason } from '../../ipc/messages.js';
import { ClusterError } from '../../kit/errors.js';
import type { Release } from '../releases.js';
import type { Child, ForkListener } from './child.js';
import type { ForkHow, Forker } from './forker.js';
import { Departures, type DeparturesNeeds } from './departures.js';
import { lastExitOf, logExit, lostSuccessor, processName, slotName, startFailure } from './exit-report.js';
import { policies, type SlotPolicy } from './policies.js';
import { Refork, type ReforkNeeds } from './refork.js';
import type { Standbys } from './spares.js';

/** What a slot works with; the same objects as in the core. */
export interface SlotNeeds extends ReforkNeeds, DeparturesNeeds {
  readonly forker: Pick<Forker, 'fork'>;
  readonly standbys: Pick<Standbys, 'children' | 'fill'>;
}

interface Fork extends Pick<ForkHow, 'after'> { strict?: boolean }
interface HowToReplace extends Pick<ForkHow, 'after'> { retry?: boolean }

/**
 * A stable place for a process, which outlives its processes: sees them come up, hands over from one to the next, drains and
 * ends them. What follows an end that nobody planned is Refork's; when to reload or stop is decided by the operations.
 */
export class Slot implements SlotView {
  readonly index: number;
  readonly policy: SlotPolicy;
  readonly refork: Refork;
  current: Child | null = null;
  successor: Child | null = null;
  /** Processes that drain after they were replaced. */
  readonly departures: Departures;
  restarts = 0;
  lastExit: LastExit | null = null;
  readonly #needs: SlotNeeds;
  /** Scaled away. */
  #removed = false;
  /** Forks whose gates are not through yet. */
  #forking = 0;
  /** How often successors were abandoned: a fork that began before the last time is not wanted. */
  #abandoned = 0;
  /** Whose end somebody else sees to: who waits for its start, or replaces it. */
  readonly #expected = new WeakSet<Child>();

  constructor(needs: SlotNeeds, role: ChildRole, index: number) {
    this.#needs = needs;
    this.policy = policies[role];
    this.departures = new Departures(needs, this.policy);
    this.index = index;
    this.refork = new Refork(needs, this.policy, index, (release, wanted) => this.#again(release, wanted));
  }

  get ready(): boolean { return this.current?.state === 'ready'; }
  get left(): boolean { return this.refork.left; }

  /** Starting, or waiting to start. */
  get pending(): boolean {
    return this.refork.delay !== null || this.#forking > 0 || this.current?.state === 'forked' || this.current?.state === 'booting';
  }

  /** Every process of the slot that is not gone. */
  children(): Child[] {
    const all = [this.current, this.successor, ...this.departures.children()];
    return all.filter((child): child is Child => child !== null && child.state !== 'exited');
  }

  /**
   * Forks a process for the empty slot and resolves when it is ready; rejects with ERR_CLUSTER_START or _START_TIMEOUT and the
   * child's own error. One that does not become ready leaves the slot empty, or with `retry` is forked again as after a death.
   */
  async start(release: Release, { retry = false } = {}): Promise<Child> {
    try {
      return await this.#settle(await this.#fork(release, (child) => {
        if (!retry) this.#expected.add(child);
        // From a fork that took its time one may be there.
        this.#goOn(this.#install(child, 'abort'));
      }), release);
    } catch (error) {
      if (!retry) this.refork.left ||= this.current === null;
      // Not even forked, as a gate says; else its end sees to the next one.
      else if (this.current === null && !this.pending) this.refork.failed(release.generation);
      throw error;
    }
  }

  /** Another process in place of the one there is: beside it or, as `start` does, after it, as the policy has it. */
  async replace(release: Release, reason: CloseReason, { retry = false, after }: HowToReplace = {}): Promise<Child> {
    if (this.policy.overlaps) {
      const child = await this.succeed(release, after);
      await this.handOver(child, reason);
      return child;
    }
    await this.#endCurrent(reason);
    this.#assertOpen();
    return this.start(release, { retry });
  }

  /** Forks a replacement that is not in charge yet; resolves when it is ready, rejects with its own failure. */
  async succeed(release: Release, after?: Promise<unknown>): Promise<Child> {
    const abandoned = this.#abandoned;
    return this.#settle(await this.#fork(release, (child) => {
      // While its gates took their time: it never takes over.
      if (abandoned !== this.#abandoned) this.#goOn(this.departures.end(child, 'abort'));
      else this.successor = child;
    }, { strict: true, ...(after ? { after } : {}) }), release);
  }

  /**
   * Puts the successor in charge and drains its predecessor; resolves when that is gone.
   * @throws ClusterError ERR_CLUSTER_START: the successor is not ready any more
   */
  async handOver(successor: Child, reason: CloseReason): Promise<void> {
    if (this.successor === successor) this.successor = null;
    if (successor.state !== 'ready' || this.departures.isDismissed(successor)) {
      if (successor.state !== 'exited') this.departures.add(successor);
      throw lostSuccessor(successor, 'until it took over');
    }
    this.refork.cancel();
    this.restarts++;
    await this.#install(successor, reason);
  }

  /** A successor is not wanted any more. Resolves when it is gone, but for one that may be answering; one not forked yet goes then. */
  async abandon(): Promise<void> {
    this.#abandoned++;
    const { successor } = this;
    this.successor = null;
    if (!successor || successor.state === 'exited') return;
    this.departures.add(successor);
    const gone = this.departures.dismiss(successor, 'abort');
    if (successor.readyAt === null) await gone;
  }

  /** Takes the processes out of service with nobody to replace them yet; resolves when they are gone. */
  async vacate(reason: CloseReason): Promise<void> {
    this.refork.cancel();
    this.#retire();
    await Promise.all(this.children().map((child) => this.departures.dismiss(child, reason)));
  }

  /** For good: the slot was scaled away. Resolves when its processes are gone. */
  async remove(): Promise<void> {
    this.#removed = true;
    this.refork.cancel();
    await Promise.all(this.children().map((child) => this.departures.drain(child, 'scale')));
  }

  /** Ends the process in charge, for another one that comes after it. */
  async #endCurrent(reason: CloseReason): Promise<void> {
    this.refork.cancel();
    if (!this.current) return;
    this.#expected.add(this.current);
    await this.departures.drain(this.current, reason);
  }

  /**
   * A process that has stood by, or a new one. `take` gives it its place, in the turn in which the slot hears of it: nobody may look in
   * between. `strict`: one that was waited for in vain is as a new one that fails.
   */
  async #fork(release: Release, take: (child: Child) => void, { strict = false, after }: Fork = {}): Promise<Child> {
    const { forker, faults, life, standbys } = this.#needs;
    const { policy: { role, overlaps }, index } = this;
    const listener: ForkListener = {
      starts: () => this.#assertOpen(),
      ready: (ready) => this.#ready(ready),
      leaving: (leaving, reason) => this.#leaving(leaving, reason),
      onlyStreams: (duck) => this.#release(duck),
    };
    this.#forking++;
    try {
      const fill: ForkHow['fill'] = (spec) => standbys.fill(spec, release, listener, strict);
      const child = await forker.fork(role, index, release, listener, { ...(overlaps ? { fill } : {}), ...(after ? { after } : {}) });
      faults.watch(processName(child), child.exited.then((exit) => this.#gone(child, exit)));
      if (life.closing || this.#removed) this.#goOn(this.departures.end(child, 'stop'));
      this.#assertOpen();
      take(child);
      return child;
    } finally {
      this.#forking--;
    }
  }

  #goOn(promise: Promise<void>): void {
    this.#needs.faults.watch(slotName(this.policy.role, this.index), promise);
  }

  #assertOpen(): void {
    if (this.#needs.life.closing) throw new ClusterError('ERR_CLUSTER_CLOSING', 'the cluster is closing');
    if (this.#removed) throw new ClusterError('ERR_CLUSTER_CLOSING', `slot ${this.index} was scaled away`);
  }

  /** In charge from now on; what was there drains. Resolves when that is gone. */
  async #install(child: Child, reason: CloseReason): Promise<void> {
    const before = this.#retire();
    this.current = child;
    this.#needs.life.staffChanged();
    this.refork.left = false;
    if (before) await this.departures.drain(before, reason);
  }

  /** Takes the process in charge out of it; null where none lives. */
  #retire(): Child | null {
    const { current } = this;
    this.current = null;
    this.#needs.life.staffChanged();
    if (!current || current.state === 'exited') return null;
    this.departures.add(current);
    return current;
  }

  async #settle(child: Child, { loaded: { config } }: Release): Promise<Child> {
    await child.settled();
    if (child.readyAt === null) throw startFailure(child, config.startTimeout);
    this.#expected.delete(child);
    return child;
  }

  #ready(child: Child): void {
    this.#needs.logger.info(`${processName(child)} started (${Date.now() - child.startedAt}ms)`);
    this.#needs.hooks[this.policy.role === 'agent' ? 'agentReady' : 'workerReady'].call(child);
  }

  /** It closes by its own decision: where the policy lets two overlap, a replacement starts now. */
  #leaving(child: Child, reason: CloseReason): void {
    this.departures.leaves(child, reason);
    if (this.current !== child || !this.policy.overlaps) return;
    this.#needs.logger.info(`${processName(child)} leaves (${reason})`);
    this.#retire();
    if (!this.#isKept) return;
    if (reason === 'uncaught') this.refork.died(child, { cause: 'crash', code: 1, signal: null, uptime: Date.now() - child.startedAt });
    else this.refork.ended(child);
  }

  #release(child: Child): void {
    if (this.current === child) this.#retire();
    this.departures.release(child);
  }

  #gone(child: Child, exit: ExitInfo): void {
    if (this.departures.gone(child, exit)) this.lastExit = lastExitOf(child, exit);
    this.#needs.hooks[this.policy.role === 'agent' ? 'agentExit' : 'workerExit'].call(child, exit);
    logExit(this.#needs.logger, child, exit);
    if (this.successor === child) this.successor = null;
    if (this.current !== child) return;
    this.current = null;
    // A start or a replacement that fails is told to the one who waits for it.
    if (!this.#isKept || this.#expected.has(child)) return;
    this.refork.gone(child, exit);
  }

  /** Who ends is replaced. A worker that ends before all were ready is not: the start fails (Workers#grow). */
  get #isKept(): boolean {
    const { life } = this.#needs;
    return !life.closing && !this.#removed && (life.started || !this.policy.counted);
  }

  async #again(release: Release, wanted: () => boolean): Promise<void> {
    const { logger, life } = this.#needs;
    if (life.closing || this.#removed) return;
    if (this.policy.role === 'agent') logger.info('new agent_worker starting...');
    await this.#fork(release, (child) => {
      this.restarts++;
      // A reload may have filled the slot meanwhile, or a restart emptied it.
      if (wanted() && this.current === null) this.#goOn(this.#install(child, 'abort'));
      else this.#goOn(this.departures.end(child, 'abort'));
    });
  }
}

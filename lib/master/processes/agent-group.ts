import { ClusterError } from '../../kit/errors.js';
import { describeExit, startFailure } from './exit-report.js';
import { fork, type Crew, type Release } from './crew.js';
import type { Child, ChildListener, ExitInfo } from './child.js';
import { nextStreak, reforkDelay } from './refork-policy.js';

/** Milliseconds before a dead agent is forked again, as in the seed. */
const AGENT_DELAY = 1_000;

export interface AgentEvents {
  ready(child: Child): void;
  /** The agent is gone; a new one follows unless the service closes. */
  lost(child: Child): void;
  message(child: Child, message: unknown): void;
  closing(): boolean;
  release(): Release;
}

/** The single agent, if there is something for it. Workers go on serving while it is away. */
export class AgentGroup {
  current: Child | null = null;
  restarts = 0;
  lastExit: (ExitInfo & { pid: number; at: string; error?: string }) | null = null;
  readonly #crew: Crew;
  readonly #events: AgentEvents;
  #timer: NodeJS.Timeout | undefined;
  #streak = 0;
  #forking = false;

  constructor(crew: Crew, events: AgentEvents) {
    this.#crew = crew;
    this.#events = events;
  }

  /** Starting, or waiting to start. */
  get pending(): boolean {
    return this.#timer !== undefined || this.#forking || this.current?.state === 'forked' || this.current?.state === 'booting';
  }

  get alive(): boolean {
    return this.current !== null && this.current.state !== 'exited';
  }

  /** Forks it and resolves when it is ready; rejects with ERR_CLUSTER_START or _START_TIMEOUT and the agent's own error. */
  async start(release: Release): Promise<Child> {
    return this.#settle(await this.#fork(release), release);
  }

  /** Stop, start; the workers keep serving. With `retry` it is forked again as after a death, should the new one fail. */
  async replace(release: Release, { retry }: { retry: boolean }): Promise<Child> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.current?.close('reload', this.#crew.deadlines.agent);
    if (this.#events.closing()) throw new ClusterError('ERR_CLUSTER_CLOSING', 'the cluster is closing');
    try {
      const child = await this.#fork(release);
      if (retry) this.#reforked.add(child);
      return await this.#settle(child, release);
    } catch (error) {
      // Not even forked, as a gate says; else its end sees to the next one.
      if (retry && this.current === null && !this.pending && !this.#events.closing()) this.refork(release.loaded.config.refork.maxDelay);
      throw error;
    }
  }

  async #settle(child: Child, { loaded: { config } }: Release): Promise<Child> {
    await settled(child);
    if (child.readyAt === null) throw startFailure(child, config.startTimeout);
    return child;
  }

  async close(reason: 'stop', timeout: number): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.current?.close(reason, timeout);
  }

  async #fork(release: Release): Promise<Child> {
    this.#forking = true;
    try {
      this.current = await fork(this.#crew, 'agent', -1, release, this.#listener());
    } finally {
      this.#forking = false;
    }
    const child = this.current;
    void child.exited.then((exit) => this.#gone(child, exit));
    // A gate may have taken its time.
    if (this.#events.closing()) {
      void child.kill('stop');
      throw new ClusterError('ERR_CLUSTER_CLOSING', 'the cluster is closing');
    }
    return child;
  }

  #listener(): ChildListener {
    return {
      entered: (child, state) => {
        if (state !== 'ready') return;
        this.#crew.logger.info(`agent_worker#${child.id}:${child.pid} started (${Date.now() - child.startedAt}ms)`);
        this.#crew.hooks.agentReady.call(child);
        this.#events.ready(child);
      },
      leaving: (child) => child.limit(this.#crew.deadlines.agent),
      message: (child, message) => this.#events.message(child, message),
    };
  }

  #gone(child: Child, exit: ExitInfo): void {
    const { hooks, logger } = this.#crew;
    this.lastExit = { ...exit, pid: child.pid, at: new Date().toISOString(), ...(child.failure ? { error: child.failure.error.message } : {}) };
    hooks.agentExit.call(child, exit);
    const closing = this.#events.closing();
    logger[exit.cause === 'requested' ? 'info' : 'error'](`agent_worker#${child.id}:${child.pid} ${describeExit(exit)}`);
    if (this.current === child) this.current = null;
    if (child.readyAt !== null) this.#events.lost(child);
    // A start or a replacement that fails is told to the one who waits for it.
    if (closing || child.intent === 'reload' || (child.readyAt === null && !this.#reforked.has(child))) return;
    const options = this.#events.release().loaded.config.refork;
    this.#streak = exit.cause === 'requested' ? 0 : nextStreak(this.#streak, exit.uptime, options);
    this.refork(Math.max(AGENT_DELAY, reforkDelay(this.#streak, options)));
  }

  readonly #reforked = new WeakSet<Child>();

  /** Forks it again after `delay` ms, and again if that fails. */
  refork(delay: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#events.closing()) return;
      this.#crew.logger.info('new agent_worker starting...');
      this.restarts++;
      this.#fork(this.#events.release()).then((child) => {
        this.#reforked.add(child);
      }, (error: Error) => {
        if (this.#events.closing()) return;
        this.#crew.logger.error('the agent could not be forked', { error });
        this.refork(this.#events.release().loaded.config.refork.maxDelay);
      });
    }, delay);
  }
}

/** Resolves when a child is ready or on its way out. */
export function settled(child: Child): Promise<void> {
  if (child.state === 'ready' || child.state === 'exited') return Promise.resolve();
  return Promise.race([child.becameReady, child.exited.then(() => {})]);
}

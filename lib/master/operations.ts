import { MOST_WORKERS } from '../config/schema.js';
import { ClusterError, toErrorData } from '../kit/errors.js';
import type { Hooks } from '../api/hooks.js';
import type { ReloadResult } from '../api/status.js';
import type { Logger } from '../kit/logger.js';
import type { AgentGroup } from './processes/agent-group.js';
import type { Cancellation } from './operations/cancellation.js';
import type { Deadlines } from './processes/crew.js';
import { inspectPort } from './processes/inspect.js';
import type { Listeners } from './connections/listeners.js';
import { quickRestart } from './operations/restart.js';
import { rollingReload } from './operations/reload.js';
import type { Slot } from './processes/slot.js';
import type { WorkerGroup } from './processes/worker-group.js';
import type { Progress } from '../api/control.js';
import type { Releases } from './releases.js';
import type { ServiceEvent } from './life.js';

/** What the operations need of the master. */
export interface Operated {
  readonly hooks: Hooks;
  readonly logger: Logger;
  readonly workers: WorkerGroup;
  readonly agents: AgentGroup;
  readonly deadlines: Deadlines;
  readonly listeners: Listeners;
  readonly releases: Releases;
  readonly cancellation: Cancellation;
  started(): boolean;
  closing(): boolean;
  hasAgent(): boolean;
  transition(event: ServiceEvent): void;
  step(task: Progress['task'], text: string, slot?: number, pid?: number): void;
}

/** How long old workers may take to be gone before new ones start beside them (restart), ms. */
const OVERLAP = 200;

/** What is done to a running cluster: reload, restart, scale, recycling; one after the other, and a close ends each. */
export class Operations {
  lastReload: ReloadResult | null = null;
  readonly #master: Operated;
  #task: { name: string; done: Promise<unknown> } | null = null;

  constructor(master: Operated) {
    this.#master = master;
  }

  get busy(): boolean {
    return this.#task !== null;
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#task) await this.#task.done.catch(() => {});
  }

  reload(reason: string, agent: boolean): Promise<ReloadResult> {
    const master = this.#master;
    return this.#exclusively('reload', async () => {
      const report = this.#timed(reason);
      let replaced = 0;
      let { current: release } = master.releases;
      master.transition('reload');
      try {
        const veto = await master.hooks.beforeReload.promise(reason);
        if (typeof veto === 'string') throw new ClusterError('ERR_CLUSTER_RELOAD_VETOED', `reload refused: ${veto}`);
        release = await master.releases.next(master.workers.slots.length);
        master.step('reload', `reloading ${master.workers.slots.length} workers, generation ${release.generation} (${reason})`);
        replaced = await rollingReload({
          workers: master.workers,
          release,
          ...release.loaded.config.reload,
          cancellation: master.cancellation,
          step: (text, slot) => master.step('reload', text, slot.index, slot.successor?.pid),
        });
        master.releases.change(release);
        // The new code may listen elsewhere.
        master.listeners.release();
        if (agent && master.hasAgent()) {
          master.step('reload', 'replacing the agent');
          const child = await master.cancellation.orCancelled(master.agents.replace(release, { retry: true }));
          master.step('reload', `agent (pid ${child.pid}) ready`, -1, child.pid);
        }
        return await this.#reloaded(report(release.generation, replaced));
      } catch (error) {
        if (master.closing()) throw new ClusterError('ERR_CLUSTER_CLOSING', 'the cluster is closing; the reload ends here');
        master.logger.error(error as Error);
        await this.#reloaded(report(release.generation, replaced, error as Error));
        throw error;
      } finally {
        if (!master.closing()) master.transition('reloadDone');
      }
    });
  }

  async restart(reason: string, { agent, signal }: { agent: boolean; signal?: AbortSignal }, done: () => Promise<void>): Promise<ReloadResult> {
    await this.idle();
    const master = this.#master;
    const { workers, agents, releases } = master;
    return this.#exclusively('restart', async () => {
      const report = this.#timed(reason);
      const generation = releases.current.generation + 1;
      try {
        releases.change(await master.cancellation.orCancelled(quickRestart({
          workers,
          agents: master.hasAgent() && (agent || !agents.alive) ? agents : null,
          release: releases.edited(workers.slots.length),
          // Two processes cannot have the same inspector port.
          overlap: inspectPort(releases.current.loaded.config, 'master', -1) === null ? OVERLAP : master.deadlines.drain + 1_000,
          signal,
        })));
        master.listeners.release();
        await done();
        return this.lastReload = report(generation, workers.slots.length);
      } catch (error) {
        if (!master.closing()) this.lastReload = report(generation, 0, error as Error);
        throw error;
      }
    });
  }

  async scale(change: number | string): Promise<{ from: number; to: number }> {
    const { workers, releases, cancellation, hooks } = this.#master;
    const from = workers.slots.length;
    const to = wanted(change, from);
    return this.#exclusively('scale', async () => {
      if (to === from) return { from, to };
      this.#master.step('scale', `from ${from} to ${to} workers`);
      hooks.scaleChanged.call(from, to);
      if (to < from) await cancellation.orCancelled(workers.shrink(to));
      else {
        try {
          await cancellation.orCancelled(workers.grow(to, releases.current));
        } catch (error) {
          if (!this.#master.closing()) await workers.shrink(from);
          throw error;
        }
      }
      releases.workers(to);
      return { from, to };
    });
  }

  /** A successor for one slot first, then its worker goes. */
  recycle(slot: Slot, reason: Parameters<WorkerGroup['replace']>[2]): Promise<void> {
    const { workers, releases, cancellation } = this.#master;
    return this.#exclusively('recycling', () => cancellation.orCancelled(workers.replace(slot, releases.current, reason)));
  }

  async #exclusively<T>(name: string, run: () => Promise<T>): Promise<T> {
    if (this.#master.closing()) throw new ClusterError('ERR_CLUSTER_CLOSING', `${name} refused: the cluster is closing`);
    if (!this.#master.started()) throw new ClusterError('ERR_CLUSTER_BUSY', `${name} refused: the cluster is starting`);
    if (this.#task) throw new ClusterError('ERR_CLUSTER_BUSY', `${name} refused: a ${this.#task.name} is under way`);
    const done = run();
    this.#task = { name, done };
    try {
      return await done;
    } finally {
      this.#task = null;
    }
  }

  #timed(reason: string) {
    const started = performance.now();
    return (generation: number, replaced: number, error?: Error): ReloadResult => ({
      ok: !error, reason, generation, replaced, took: Math.round(performance.now() - started), at: new Date().toISOString(), ...(error ? { error: toErrorData(error).message } : {}),
    });
  }

  async #reloaded(result: ReloadResult): Promise<ReloadResult> {
    const { logger, hooks } = this.#master;
    this.lastReload = result;
    if (result.ok) logger.info(`reloaded ${result.replaced} workers in ${result.took}ms (generation ${result.generation})`);
    await hooks.reloaded.promise(result).catch((failure: Error) => logger.error(failure));
    return result;
  }
}

/** `3`, `"3"`, `"+1"` or `"-2"` from what there is; never below 1, nor above what a configuration may say. @throws ClusterError ERR_CLUSTER_USAGE */
function wanted(change: number | string, from: number): number {
  const to = typeof change === 'number' ? change : /^[+-]\d+$/.test(change) ? from + Number(change) : /^\d+$/.test(change) ? Number(change) : NaN;
  if (!Number.isInteger(to)) throw new ClusterError('ERR_CLUSTER_USAGE', `scale: expected a whole number, +N or -N, found "${change}"`);
  if (to > MOST_WORKERS) throw new ClusterError('ERR_CLUSTER_USAGE', `scale: expected at most ${MOST_WORKERS} workers, found ${to}`);
  return Math.max(1, to);
}

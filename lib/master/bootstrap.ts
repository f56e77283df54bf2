import type { ChildView } from '../api/child.js';
import type { Controllable, Launch, Progress, Route, ReloadResult, Status } from '../api/control.js';
import type { Hooks, TapRecord } from '../api/hooks.js';
import type { Messenger } from '../api/messenger.js';
import type { Deadlines, ServiceState, Plugin } from '../api/plugin.js';
import type { LoadedConfig } from '../config/load.js';
import type { Config } from '../config/schema.js';
import type { ChildRole, CloseReason, PartSpec } from '../ipc/messages.js';
import { ClusterError } from '../kit/errors.js';
import type { Logger } from '../kit/logger.js';
import { isObject, misuse } from '../kit/misuse.js';
import { packageRoot } from '../kit/package.js';
import { aFunction, bootstrapOptions, closeOptions, ownChild, reloadOptions } from './checked-calls.js';
import { createCore, type BootstrapOptions, type Core } from './core.js';
import { orderReload, reload, type ReloadOptions } from './operations/reload.js';
import { restart, type RestartOptions } from './operations/restart.js';
import { replaceWorker, scale } from './operations/scale.js';
import { close, closeAndExit, ownProcess, type CloseOptions } from './operations/shutdown.js';
import { listenToRotation, listenToSignals } from './operations/signals.js';
import { start } from './operations/start.js';
import { catchUncaught } from './operations/after-faults.js';
import { addressText, status } from './plugins/face.js';
import { applyPlugin, prepare } from './plugins/load.js';
import { launch } from './status-report.js';

export type { BootstrapOptions } from './core.js';

/**
 * The master. It starts the agent and the workers, keeps them up, replaces, scales and stops them, and never runs code of
 * the application. Everything beyond that life cycle is a plugin on `hooks`; a plugin sees a face of its own (see Master).
 */
export class Bootstrap implements Controllable {
  readonly #core: Core;
  #starts = false;

  /** `loaded`: what `loadConfig` gives. Nothing starts yet. @throws ClusterError ERR_CLUSTER_USAGE where it is something else */
  constructor(loaded: LoadedConfig, options: BootstrapOptions = {}) {
    if (!isObject(loaded) || !isObject(loaded.config)) throw misuse(new.target, 'what loadConfig returns', loaded);
    this.#core = createCore(loaded, bootstrapOptions(new.target.name, options));
    const { life, faults } = this.#core;
    life.giveUp = (reason) => faults.watch(reason, closeAndExit(this.#core, reason, { code: 1 }));
    this.messenger.on('reload-worker', () => orderReload(this.#core, 'reload-worker'));
  }

  /** Whoever owns a Bootstrap may tap them at any time, other than a plugin; what has happened already is not told again. */
  get hooks(): Hooks {
    return this.#core.hooks;
  }

  /** Every tap with its plugin, calls and time. */
  get taps(): readonly TapRecord[] {
    return this.#core.taps;
  }

  /** The master's own: hears what is sent to `"master"`. */
  get messenger(): Messenger {
    return this.#core.post.messenger;
  }

  get logger(): Logger {
    return this.#core.logger;
  }

  /** How long children may take to close, ms; graceful-exit sets it. */
  get deadlines(): Deadlines {
    return this.#core.deadlines;
  }

  /** Paths that the control socket answers, and the health port those that are `open`. */
  get routes(): readonly Route[] {
    return this.#core.routes.list;
  }

  /** As it is now: a reload may change it. */
  get config(): Config {
    return this.loaded.config;
  }

  /** The configuration with where it comes from and what it runs. */
  get loaded(): LoadedConfig {
    return this.#core.releases.current.loaded;
  }

  get state(): ServiceState {
    return this.#core.life.state;
  }

  /** It is only looked at, and not started: a plugin's `apply` runs all the same, and is told as `master.dry`. */
  get dry(): boolean {
    return this.#core.options.dry;
  }

  /** Names of the plugins that were applied, in that order. */
  get plugins(): readonly string[] {
    return [...this.#core.plugins.keys()];
  }

  /** The plugins' parts for the children of a role, in the order in which they run. */
  parts(role: ChildRole): readonly PartSpec[] {
    const { realDir } = this.loaded.target;
    return this.#core.parts.of(role, realDir, packageRoot);
  }

  /** All were ready once: from here on the dead are replaced. */
  get started(): boolean {
    return this.#core.life.started;
  }

  /** A close has begun, or is done. */
  get closing(): boolean {
    return this.#core.life.closing;
  }

  /** When this was made. */
  get startedAt(): Date {
    return this.#core.life.startedAt;
  }

  /** Of configuration and code: 1 at the start, higher after each reload that succeeded; one that is aborted uses a number up. */
  get generation(): number {
    return this.#core.releases.current.generation;
  }

  /** How the last reload or restart has ended; null before the first. */
  get lastReload(): ReloadResult | null {
    return this.#core.lastReload;
  }

  /** `http://127.0.0.1:7001`, where the first worker really listens; null until then. */
  get address(): string | null {
    return addressText(this.#core);
  }

  /** Resolves with the exit code once everything is gone. */
  get exited(): Promise<number> {
    return this.#core.life.exited;
  }

  /** Every child process that lives. */
  children(): ChildView[] {
    return [...this.#core.agent.children(), ...this.#core.workers.children()];
  }

  /**
   * Applies the plugins and lets them see the configuration, once; `start` does it by itself, `framework config` wants no more.
   * @throws ClusterError ERR_CLUSTER_PLUGIN, _ENGINE, _HOOK, _HOOK_TIMEOUT, _NOT_CLONEABLE, _BALANCE, _CONFIG
   */
  prepare(): Promise<void> {
    return prepare(this.#core);
  }

  /** Applies one more plugin, before the start. @throws ClusterError ERR_CLUSTER_PLUGIN, ERR_CLUSTER_HOOK_TIMEOUT */
  applyPlugin<Options>(plugin: Plugin<Options>, options?: Partial<Options>): Promise<void> {
    return applyPlugin(this.#core, plugin, options);
  }

  /**
   * Agent, then workers; resolves when all are ready. On a failure everything is stopped and the error of the child is thrown.
   * @throws ClusterError as `prepare`; ERR_CLUSTER_START, _START_TIMEOUT, _CLOSING
   */
  async start(): Promise<this> {
    const { options, cleanup, life } = this.#core;
    if (this.#starts && !life.closing) throw new ClusterError('ERR_CLUSTER_USAGE', 'start: this cluster has been started already');
    this.#starts = true;
    if (options.ownsProcess) cleanup.push(listenToSignals(this.#core), ownProcess(this.#core));
    if (options.alone) cleanup.push(listenToRotation(this.#core));
    if (options.catchUncaught) cleanup.push(catchUncaught(this.#core));
    try {
      await prepare(this.#core);
    } catch (error) {
      for (const undo of cleanup.splice(0)) undo();
      throw error;
    }
    await start(this.#core);
    return this;
  }

  /**
   * Replaces all workers without a lost request, then the agent. @throws ClusterError ERR_CLUSTER_BUSY, _CLOSING,
   * _RELOAD_VETOED, _RELOAD_ABORTED, _CONFIG
   */
  async reload(reason: string, options?: ReloadOptions): Promise<ReloadResult> {
    return reload(this.#core, reason, reloadOptions('reload', reason, options));
  }

  /**
   * As a reload, but the old ones go first: for development.
   * @throws ClusterError ERR_CLUSTER_START, _START_TIMEOUT, _CONFIG, _APP_NOT_FOUND, _CLOSING
   */
  async restart(reason: string, options?: RestartOptions): Promise<ReloadResult> {
    return restart(this.#core, reason, reloadOptions('restart', reason, options));
  }

  /** Changes the number of workers: `3`, `"+1"`, `"-2"`; never below 1. @throws ClusterError ERR_CLUSTER_BUSY, _CLOSING, _USAGE, _START */
  scale(change: number | string): Promise<{ from: number; to: number }> {
    return scale(this.#core, change);
  }

  /** Replaces one worker, its successor ready first. Resolves false when something is under way or it is not in charge any more. */
  async replace(child: ChildView, reason: CloseReason): Promise<boolean> {
    return replaceWorker(this.#core, ownChild('replace', child), reason);
  }

  /** Kills a child with everything it has started; it is replaced like any other that dies. Resolves when it is gone. */
  async kill(child: ChildView, reason: CloseReason): Promise<void> {
    await ownChild('kill', child).kill(reason);
  }

  /**
   * Drains the workers, closes the agent, resolves with the exit code (`options.code`, 0 by default). It wins over all that is
   * going on; a second call with `force` hurries. The process stays: its owner ends it.
   */
  async close(reason: string, options?: CloseOptions): Promise<number> {
    return close(this.#core, reason, closeOptions(options));
  }

  /** What `framework status` shows. */
  status(): Promise<Status> {
    return status(this.#core);
  }

  /** What a restart has to know; for the control socket, as it holds secrets. */
  launch(): Launch {
    return launch(this.#core);
  }

  /** A process that gives an order over the control socket outlives the child that has started it, and so do its callers. */
  async spare(pid: number): Promise<void> {
    await this.#core.leftovers.spare(pid).catch((error: unknown) => { this.#core.faults.caught('spare', error); });
  }

  /** Told of each step of a start, reload, scale or close; returns a function that ends it. */
  onProgress(listener: (progress: Progress) => void): () => void {
    return this.#core.tasks.onProgress(aFunction('onProgress', listener));
  }
}

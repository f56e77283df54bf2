import cluster from 'node:cluster';
import { pathToFileURL } from 'node:url';
import type { LoadedConfig } from './config/load.js';
import type { Config } from './config/schema.js';
import type { Controllable, Progress, Route } from './control/controllable.js';
import { ClusterError, toErrorData } from './errors.js';
import { createHooks, guard, type Hooks, type ReloadResult, type TapRecord } from './hooks.js';
import type { BootInfo, PartSpec } from './ipc/boot-info.js';
import type { ChildRole, CloseReason, Envelope } from './ipc/messages.js';
import { Messenger } from './ipc/messenger.js';
import { Router } from './ipc/router.js';
import { loadPlugins, ownVersion } from './load-plugins.js';
import { LogFiles, type LogPaths } from './log-files.js';
import { Logger } from './logger.js';
import type { ConnectionRouting } from './master/acceptor.js';
import { Announcements } from './master/announcements.js';
import { AgentGroup } from './master/agent-group.js';
import { assertBalance } from './master/balance.js';
import { bootInfo } from './master/boot-info.js';
import { Cancellation } from './master/cancellation.js';
import type { Child, ChildView } from './master/child.js';
import { freeClusterPort } from './master/cluster-port.js';
import type { Crew, Deadlines, Release } from './master/crew.js';
import { HeldSocket } from './master/held-socket.js';
import { Listeners } from './master/listeners.js';
import { Reaper, type InstanceFiles } from './master/reaper.js';
import { rollingReload } from './master/rolling-reload.js';
import { shutdown } from './master/shutdown.js';
import { onSignals } from './master/signals.js';
import { inspectPort, openInspector } from './master/inspect.js';
import { quickRestart } from './master/quick-restart.js';
import { Spares } from './master/spares.js';
import { threeStrikes } from './master/three-strikes.js';
import { WorkerGroup } from './master/worker-group.js';
import type { Plugin } from './plugin.js';
import { serviceTable, type ServiceEvent, type ServiceState } from './service-state.js';
import type { Status } from './status.js';
import { addressOf, buildStatus } from './status-report.js';

export interface BootstrapOptions {
  /** Reads the configuration afresh; a reload uses it. */
  reloadConfig?: () => Promise<LoadedConfig>;
  /** A daemon's log files, opened anew at SIGHUP. */
  logFiles?: LogPaths;
  /** What a SIGKILLed master would leave behind of its entry in the registry. */
  files?: InstanceFiles | null;
  /** Milliseconds a tap of a gate hook may take. */
  hookTimeout?: number;
  /** Milliseconds between the checks of the three strikes. */
  checkInterval?: number;
  /** Handle signals, and end the process when the cluster has closed by itself or by a signal. */
  ownsProcess?: boolean;
}

/** How long old workers may take to be gone before new ones start beside them (restart), ms. */
const OVERLAP = 200;

/**
 * The master. It starts the agent and the workers, keeps them up, replaces, scales and stops them, and never runs code of
 * the application. Everything beyond that life cycle is a plugin on `hooks`.
 */
export class Bootstrap implements Controllable {
  readonly hooks: Hooks = createHooks();
  /** Every tap with its plugin, calls and time. */
  readonly taps: TapRecord[];
  readonly messenger: Messenger;
  readonly logger: Logger;
  /** How long children may take to close; graceful-exit sets it. */
  readonly deadlines: Deadlines = { drain: 5_000, agent: 5_000, shutdownDelay: 0, uncaught: 5_000 };
  /** Paths that the control socket answers, and the health port those that are `open`. */
  readonly routes: Route[] = [];
  /** Listening sockets that a service manager has opened: the port or path an app asks for -> the master's descriptor. */
  readonly inheritedSockets: Record<string, number> = {};
  readonly startedAt = new Date();
  /** Resolves with the exit code once everything is gone. */
  readonly exited: Promise<number>;

  readonly listeners: Listeners;
  /** Processes that wait to become workers. */
  readonly spares = new Spares();
  readonly agents: AgentGroup;
  readonly workers: WorkerGroup;
  lastReload: ReloadResult | null = null;

  state: ServiceState = 'idle';
  #release: Release;
  #version = '';
  readonly #options: BootstrapOptions;
  readonly #parts: Record<ChildRole, PartSpec[]> = { worker: [], agent: [] };
  readonly #router: Router;
  readonly #announce: Announcements;
  readonly #reaper = new Reaper();
  readonly #logFiles: LogFiles;
  readonly #progress = new Set<(progress: Progress) => void>();
  readonly #cleanup: (() => void)[] = [];
  #closing: Promise<number> | null = null;
  readonly #cancellation = new Cancellation();
  #hurry!: () => void;
  readonly #hurried: Promise<void>;
  #resolveExit!: (code: number) => void;
  /** Reload, scale and recycling come one after the other. */
  #task: { name: string; done: Promise<unknown> } | null = null;
  #applied = false;
  #applying = '';
  #agentWanted = false;
  #announced = false;
  /** As the configuration last said; `scale` may have changed it since. */
  #readWorkers = 0;

  constructor(loaded: LoadedConfig, options: BootstrapOptions = {}) {
    this.#options = options;
    this.#release = { generation: 1, loaded };
    const { config } = loaded;
    this.#logFiles = new LogFiles(options.logFiles);
    this.logger = new Logger({ label: 'master', ...config.log, output: this.#logFiles.output });
    this.taps = guard(this.hooks, { timeout: options.hookTimeout ?? 30_000, onError: (error) => this.logger.error(error) });
    this.exited = new Promise((resolve) => { this.#resolveExit = resolve; });
    this.#hurried = new Promise((resolve) => { this.#hurry = resolve; });

    this.messenger = new Messenger((envelope) => this.#router.route(envelope, 'master', process.pid), () => this.#hasAgent());
    this.listeners = new Listeners(config.startTimeout);
    const crew: Crew = {
      hooks: this.hooks,
      logger: this.logger,
      deadlines: this.deadlines,
      listeners: this.listeners,
      reaper: this.#reaper,
      spares: this.spares,
      boot: (role, slot, release) => this.#boot(role, slot, release),
      stdio: () => this.#logFiles.stdio(),
    };
    const closing = () => this.#closing !== null;
    this.agents = new AgentGroup(crew, {
      ready: (child) => this.#announce.agentReady(child, this.started),
      lost: () => { if (!closing()) this.#announce.agentLost(); },
      message: (child, message) => this.#router.route(message, 'agent', child.pid),
      closing,
      release: () => this.#release,
    });
    this.workers = new WorkerGroup(crew, {
      ready: (child) => {
        this.#announce.workerReady(child, this.started);
        if (this.started && this.workers.slots.every((slot) => slot.ready)) this.listeners.release();
      },
      exit: (child) => { if (!closing()) this.#announce.workerLost(child); },
      message: (child, message) => this.#router.route(message, 'app', child.pid),
      closing,
      started: () => this.started,
      release: () => this.#release,
      limitReached: (decision) => { if (decision === 'exit') this.#giveUp('refork limit reached'); },
    });
    this.#announce = new Announcements({
      workers: this.workers,
      agents: this.agents,
      address: () => addressOf(this),
      isEgg: () => loaded.target.entry.framework !== undefined,
      send: (envelope) => this.#router.route(envelope, 'master', process.pid),
    });
    this.#router = new Router(this.#announce.directory({
      master: (envelope) => this.#receive(envelope),
      allow: (envelope) => this.hooks.message.call(envelope) !== false,
    }));
    this.messenger.on('reload-worker', () => { void this.reload('reload-worker').catch((error: Error) => this.logger.error(error)); });
    crewOf.set(this, crew);
  }

  get config(): Config {
    return this.#release.loaded.config;
  }

  get loaded(): LoadedConfig {
    return this.#release.loaded;
  }

  /** All were ready once: from here on the dead are replaced. */
  get started(): boolean {
    return this.state === 'running' || this.state === 'reloading';
  }

  get closing(): boolean {
    return this.#closing !== null;
  }

  get generation(): number {
    return this.#release.generation;
  }

  /** Every child process that lives. */
  children(): ChildView[] {
    return [...this.agents.current ? [this.agents.current] : [], ...this.workers.children()];
  }

  /** Applies the plugins; `start` does it by itself, `framework hooks` wants no more. */
  async applyPlugins(): Promise<void> {
    if (this.#applied) return;
    this.#applied = true;
    await loadPlugins(this, this.#release.loaded);
  }

  async applyPlugin<Options>(plugin: Plugin<Options>, options: Options): Promise<void> {
    this.#applying = plugin.name;
    await plugin.apply(this, options);
  }

  /**
   * Gives a plugin's part to every child of a role: a module URL whose default export `(runtime, options)` runs before the
   * app. An agent part is a reason to have an agent, unless it is `passive`. @throws ClusterError ERR_CLUSTER_NOT_CLONEABLE
   */
  inject(role: ChildRole, url: string | URL, options: unknown = {}, { passive = false }: { passive?: boolean } = {}): void {
    const plugin = this.#applying;
    try {
      structuredClone(options);
    } catch (error) {
      throw new ClusterError('ERR_CLUSTER_NOT_CLONEABLE', `plugin "${plugin}", inject("${role}", ${String(url)}): the options cannot be sent to a child: ${(error as Error).message}`, { cause: error });
    }
    const href = String(url);
    if (role === 'agent' && !passive) this.#agentWanted = true;
    this.#parts[role].push({ plugin, url: /^[a-z]{2,}:/.test(href) ? href : pathToFileURL(href).href, options });
  }

  /** Opens a unix socket that workers accept from in turn, one after the other. `mode`: permissions. @throws ClusterError ERR_CLUSTER_START */
  holdSocket(file: string, mode: number): Promise<HeldSocket> {
    return HeldSocket.open(file, mode);
  }

  /** Lets a plugin choose the slot of each connection. Needs `balance: "round-robin"`, where the master accepts. */
  routeConnections(routing: ConnectionRouting): void {
    this.listeners.routing = routing;
  }

  /** Adds a path to the control socket and, when `open`, to the health port. */
  route(route: Route): void {
    this.routes.push(route);
  }

  /** Agent, then workers; resolves when all are ready. On a failure everything is stopped and the error of the child is thrown. */
  async start(): Promise<this> {
    this.#version = ownVersion();
    await this.applyPlugins();
    const { hooks } = this;
    await this.#configResolved();
    const { config } = this;
    this.#readWorkers = config.workers;
    assertBalance(config.balance);
    cluster.schedulingPolicy = config.balance === 'os' ? cluster.SCHED_NONE : cluster.SCHED_RR;
    if (this.#options.ownsProcess !== false) this.#cleanup.push(this.#onSignals());
    this.#cleanup.push(this.#onParent());
    this.#transition('start');
    process.title = `${config.title}: master`;
    this.logger.info(`hatchery ${this.#version} starts "${config.title}" on node ${process.version} (${config.workers} worker${config.workers === 1 ? '' : 's'})`);
    try {
      await this.#orClosed(hooks.beforeStart.promise(config));
      await openInspector(config, this.#hasAgent(), this.logger);
      if (this.loaded.target.entry.framework !== undefined) this.#release = { ...this.#release, clusterPort: await freeClusterPort() };
      this.#reaper.start(Math.max(this.deadlines.drain, this.deadlines.agent) + 1_000);
      if (this.#options.files) this.#reaper.files(this.#options.files);
      await this.#startChildren();
      return this;
    } catch (error) {
      const wasClosing = this.closing;
      await this.close('start failed', { code: 1, force: !wasClosing });
      throw wasClosing ? new ClusterError('ERR_CLUSTER_CLOSING', 'closed while it was starting') : error;
    }
  }

  /**
   * Replaces all workers without a lost request, then the agent. Configuration and code are read afresh; one canary must be
   * ready (and stay so for `reload.soak` ms) before the first old worker drains. @throws ClusterError ERR_CLUSTER_BUSY,
   * _CLOSING, _RELOAD_VETOED, _RELOAD_ABORTED, _CONFIG
   */
  async reload(reason: string, { agent = true, queue = false }: { agent?: boolean; queue?: boolean } = {}): Promise<ReloadResult> {
    if (queue) while (this.#task) await this.#task.done.catch(() => {});
    return this.#exclusively('reload', async () => {
      const started = performance.now();
      let replaced = 0;
      let release = this.#release;
      this.#transition('reload');
      try {
        const veto = await this.hooks.beforeReload.promise(reason);
        if (typeof veto === 'string') throw new ClusterError('ERR_CLUSTER_RELOAD_VETOED', `reload refused: ${veto}`);
        release = await this.#nextRelease();
        this.#step('reload', `reloading ${this.workers.slots.length} workers, generation ${release.generation} (${reason})`);
        replaced = await rollingReload({
          workers: this.workers,
          release,
          ...release.loaded.config.reload,
          cancellation: this.#cancellation,
          step: (text, slot) => this.#step('reload', text, slot.index, slot.successor?.pid),
        });
        this.#release = release;
        if (agent && this.#hasAgent()) {
          this.#step('reload', 'replacing the agent');
          const child = await this.#orClosed(this.agents.replace(release));
          this.#step('reload', `agent (pid ${child.pid}) ready`, -1, child.pid);
        }
        return await this.#reloaded({ ok: true, reason, generation: release.generation, replaced, started });
      } catch (error) {
        if (this.closing) throw new ClusterError('ERR_CLUSTER_CLOSING', 'the cluster is closing; the reload ends here');
        await this.#reloaded({ ok: false, reason, generation: release.generation, replaced, started, error: error as Error });
        throw error;
      } finally {
        if (this.state === 'reloading') this.#transition('reloadDone');
      }
    });
  }

  /**
   * Replaces all workers with as little delay as can be: the old ones go first, connections wait until the new ones are
   * there, configuration and code are read afresh. For development; `reload` is for production. Rejects with the first
   * failure, and the slots stay empty until the next call. `signal` gives it up.
   * @throws ClusterError ERR_CLUSTER_START, _START_TIMEOUT, _CONFIG, _APP_NOT_FOUND, _BUSY, _CLOSING
   */
  async restart(reason: string, { agent = false, signal }: { agent?: boolean; signal?: AbortSignal } = {}): Promise<ReloadResult> {
    while (this.#task) await this.#task.done.catch(() => {});
    return this.#exclusively('restart', async () => {
      const started = performance.now();
      const generation = this.generation + 1;
      const result = (error?: Error): ReloadResult => ({
        ok: !error, reason, generation, replaced: error ? 0 : this.workers.slots.length, took: Math.round(performance.now() - started), at: new Date().toISOString(), ...(error ? { error: error.message } : {}),
      });
      try {
        this.#release = await this.#orClosed(quickRestart({
          workers: this.workers,
          agents: this.#hasAgent() && (agent || !this.agents.alive) ? this.agents : null,
          release: this.#editedRelease(),
          // Two processes cannot have the same inspector port.
          overlap: inspectPort(this.config, 'master', -1) === null ? OVERLAP : this.deadlines.drain + 1_000,
          signal,
        }));
        this.listeners.release();
        if (!this.#announced) await this.#orClosed(this.#allReady());
        return this.lastReload = result();
      } catch (error) {
        if (!this.closing) this.lastReload = result(error as Error);
        throw error;
      }
    });
  }

  /** Changes the number of workers: `3`, `"+1"`, `"-2"`; never below 1. @throws ClusterError ERR_CLUSTER_BUSY, _CLOSING, _USAGE, _START */
  async scale(change: number | string): Promise<{ from: number; to: number }> {
    const from = this.workers.slots.length;
    const wanted = typeof change === 'number' ? change : /^[+-]\d+$/.test(change) ? from + Number(change) : /^\d+$/.test(change) ? Number(change) : NaN;
    if (!Number.isInteger(wanted)) throw new ClusterError('ERR_CLUSTER_USAGE', `scale: expected a whole number, +N or -N, found "${change}"`);
    const to = Math.max(1, wanted);
    return this.#exclusively('scale', async () => {
      if (to === from) return { from, to };
      this.#step('scale', `from ${from} to ${to} workers`);
      this.hooks.scaleChanged.call(from, to);
      if (to < from) await this.#orClosed(this.workers.shrink(to));
      else {
        try {
          await this.#orClosed(this.workers.grow(to, this.#release));
        } catch (error) {
          if (!this.closing) await this.workers.shrink(from);
          throw error;
        }
      }
      this.#release = { ...this.#release, loaded: { ...this.loaded, config: { ...this.config, workers: to } } };
      return { from, to };
    });
  }

  /**
   * Replaces one worker, its successor ready first: recycling. Resolves false when something else is under way or it is not
   * in charge any more.
   */
  async replace(child: ChildView, reason: CloseReason): Promise<boolean> {
    const slot = this.workers.slots[child.slot];
    if (this.#task || this.closing || !slot || slot.current !== child) return false;
    await this.#exclusively('recycling', () => this.#orClosed(this.workers.replace(slot, this.#release, reason)));
    return true;
  }

  /** Kills a child with everything it has started; it is replaced like any other that dies. */
  async kill(child: ChildView, reason: CloseReason): Promise<void> {
    await (child as Child).kill(reason);
  }

  /** Drains the workers, closes the agent, resolves with the exit code. It wins over all that is going on; a second call with `force` hurries. */
  close(reason: string, { force = false, code = 0 }: { force?: boolean; code?: number } = {}): Promise<number> {
    if (force) this.#hurry();
    this.#closing ??= this.#close(reason, code);
    return this.#closing;
  }

  async status(): Promise<Status> {
    return this.hooks.collectStatus.call(buildStatus(this, this.#version));
  }

  /** `http://127.0.0.1:7001`, where the first worker really listens; null until then. */
  get address(): string | null {
    return addressOf(this) === null ? null : buildStatus(this, this.#version).address;
  }

  onProgress(listener: (progress: Progress) => void): () => void {
    this.#progress.add(listener);
    return () => { this.#progress.delete(listener); };
  }

  /** The agent, then the workers. */
  async #startChildren(): Promise<void> {
    const { config, hooks } = this;
    let failure: Error | undefined;
    try {
      if (this.#hasAgent()) await this.#orClosed(this.agents.start(this.#release));
      this.#transition('agentReady');
      await this.#orClosed(this.workers.grow(config.workers, this.#release));
    } catch (error) {
      if (this.closing || hooks.startFailed.call(error as Error) !== 'stay') throw error;
      failure = error as Error;
      this.workers.addSlots(config.workers);
      for (const slot of this.workers.slots) slot.left = slot.current === null;
      this.#transition('agentReady');
    }
    this.#transition('workersReady');
    if (!failure) await this.#allReady();
  }

  /** For the first time. */
  async #allReady(): Promise<void> {
    this.#announced = true;
    this.#announce.clusterReady();
    await this.#orClosed(this.hooks.clusterReady.promise(addressOf(this), this.children()));
    const took = Date.now() - this.startedAt.getTime();
    this.logger.info(`${this.config.title} started on ${this.address ?? 'no address'} (${took}ms)`);
    this.#cleanup.push(threeStrikes(this.#options.checkInterval ?? 10_000, () => this.#count(), (counts) => {
      this.logger.error(`ClusterWorkerExceptionError: nobody is left to serve (agent: ${counts.agent}, workers: ${counts.workers})`);
      this.#giveUp('ClusterWorkerExceptionError');
    }));
  }

  async #close(reason: string, code: number): Promise<number> {
    this.#transition('close');
    this.spares.end();
    this.#cancellation.cancel(new ClusterError('ERR_CLUSTER_CLOSING', `the cluster is closing (${reason})`));
    this.logger.info(`closing (${reason})`);
    const crew = crewOf.get(this) as Crew;
    await shutdown({ crew, agent: this.agents, workers: this.workers, reason, hurry: this.#hurried, step: (text) => this.#step('close', text) });
    this.listeners.end();
    try {
      await this.hooks.closed.promise(reason);
    } catch (error) {
      this.logger.error(error as Error);
    }
    this.#reaper.end();
    for (const cleanup of this.#cleanup.reverse()) cleanup();
    this.#transition('closed');
    this.logger.info(`exit with code:${code}`);
    this.#resolveExit(code);
    return code;
  }

  /** Ends by its own decision, with exit code 1. */
  #giveUp(reason: string): void {
    void this.close(reason, { code: 1 }).then((code) => this.#leaveProcess(code));
  }

  #leaveProcess(code: number): void {
    if (this.#options.ownsProcess !== false) process.exit(code);
  }

  #onSignals(): () => void {
    const failed = (error: Error) => this.logger.error(error);
    return onSignals({
      close: (signal) => {
        this.logger.info(`receive signal ${signal}, closing`);
        void this.close(signal).then((code) => this.#leaveProcess(code));
      },
      hurry: (signal) => {
        this.logger.warn(`receive signal ${signal} again, killing what is left`);
        void this.close(signal, { force: true });
      },
      reload: () => {
        this.#logFiles.reopen();
        this.reload('SIGHUP').catch(failed);
      },
      scale: (by) => { this.scale(by > 0 ? '+1' : '-1').catch(failed); },
    });
  }

  /** A parent process that forked this one may send messages; without a `to` they are for the master. */
  #onParent(): () => void {
    const listener = (message: unknown) => this.#router.route(message, 'parent', process.ppid);
    process.on('message', listener);
    return () => { process.off('message', listener); };
  }

  /** A close in the middle of something ends the wait for it. */
  #orClosed<T>(promise: Promise<T>): Promise<T> {
    return this.#cancellation.orCancelled(promise);
  }

  async #exclusively<T>(name: string, run: () => Promise<T>): Promise<T> {
    if (this.closing) throw new ClusterError('ERR_CLUSTER_CLOSING', `${name} refused: the cluster is closing`);
    if (!this.started) throw new ClusterError('ERR_CLUSTER_BUSY', `${name} refused: the cluster is starting`);
    if (this.#task) throw new ClusterError('ERR_CLUSTER_BUSY', `${name} refused: a ${this.#task.name} is under way`);
    const done = run();
    this.#task = { name, done };
    try {
      return await done;
    } finally {
      this.#task = null;
    }
  }

  /** What the taps make of the configuration is validated again, also where they changed it in place. */
  async #configResolved(): Promise<void> {
    const checked = this.hooks.configResolved.call(this.config);
    if (!this.taps.some(({ hook }) => hook === 'configResolved')) return;
    const { revalidate } = await import('./config/load.js');
    this.#release = { ...this.#release, loaded: { ...this.loaded, config: revalidate(checked, this.loaded) } };
  }

  /** Plugins have their say in a configuration, at the start and at each reload alike. */
  async #resolved(loaded: LoadedConfig): Promise<LoadedConfig> {
    const config = this.hooks.configResolved.call(loaded.config);
    if (config === loaded.config) return loaded;
    const { revalidate } = await import('./config/load.js');
    return { ...loaded, config: revalidate(config) };
  }

  async #nextRelease(): Promise<Release> {
    const { generation, clusterPort } = this.#release;
    const fresh = await this.#resolved(await this.#options.reloadConfig?.() ?? this.loaded);
    // How many workers there are is scale's matter while the cluster runs.
    return { generation: generation + 1, clusterPort, loaded: { ...fresh, config: { ...fresh.config, workers: this.workers.slots.length } } };
  }

  /** As above, but a number of workers that was edited counts. */
  async #editedRelease(): Promise<{ release: Release; count: number }> {
    const fresh = await this.#resolved(await this.#options.reloadConfig?.() ?? this.loaded);
    const { generation, clusterPort } = this.#release;
    const { workers } = fresh.config;
    const count = workers === this.#readWorkers ? this.workers.slots.length : workers;
    this.#readWorkers = workers;
    return { release: { generation: generation + 1, clusterPort, loaded: { ...fresh, config: { ...fresh.config, workers: count } } }, count };
  }

  async #reloaded({ started, error, ...rest }: { ok: boolean; reason: string; generation: number; replaced: number; started: number; error?: Error }): Promise<ReloadResult> {
    const result: ReloadResult = { ...rest, took: Math.round(performance.now() - started), at: new Date().toISOString(), ...(error ? { error: toErrorData(error).message } : {}) };
    this.lastReload = result;
    if (error) this.logger.error(error);
    else this.logger.info(`reloaded ${result.replaced} workers in ${result.took}ms (generation ${result.generation})`);
    await this.hooks.reloaded.promise(result).catch((failure: Error) => this.logger.error(failure));
    return result;
  }

  #boot(role: ChildRole, slot: number, release: Release): Omit<BootInfo, 'id'> {
    const boot = bootInfo(role, slot, release, this.#parts[role], this.#hasAgent(), role === 'agent' ? this.deadlines.agent : this.deadlines.drain);
    return { ...boot, listen: { ...boot.listen, inherited: this.inheritedSockets } };
  }

  /** There is something for an agent: its module, a framework, a plugin's part, or `agent: true`. */
  #hasAgent(): boolean {
    const { entry } = this.loaded.target;
    return entry.agent !== undefined || entry.framework !== undefined || this.#agentWanted;
  }

  #count() {
    return { agent: this.agents.alive ? 1 : 0, workers: this.workers.ready().length, expectsAgent: this.#hasAgent(), pending: this.#task !== null || this.agents.pending || this.workers.pending };
  }

  #receive(envelope: Envelope): void {
    try {
      this.messenger.receive(envelope);
    } catch (error) {
      this.logger.error(error as Error);
    }
  }

  #step(task: Progress['task'], text: string, slot?: number, pid?: number): void {
    this.logger.info(text);
    for (const listener of this.#progress) listener({ task, text, slot, pid });
  }

  #transition(event: ServiceEvent): void {
    this.state = serviceTable[this.state][event] ?? this.state;
  }
}

/** What the groups share with the shutdown, no part of the public class. */
const crewOf = new WeakMap<Bootstrap, Crew>();

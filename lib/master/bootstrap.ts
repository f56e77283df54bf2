import cluster from 'node:cluster';
import type { LoadedConfig } from '../config/load.js';
import type { Config } from '../config/schema.js';
import type { Controllable, Progress, Route } from '../api/control.js';
import { ClusterError } from '../kit/errors.js';
import { createHooks, type Hooks, type TapRecord } from '../api/hooks.js';
import type { ReloadResult } from '../api/status.js';
import { inTime } from '../kit/time.js';
import { guard } from './plugins/guard.js';
import type { BootInfo } from '../ipc/messages.js';
import type { ChildRole, CloseReason } from '../ipc/messages.js';
import type { Messenger } from '../api/messenger.js';
import { loadPlugins, ownVersion } from './plugins/load.js';
import { LogFiles, type LogPaths } from '../kit/log-files.js';
import { Logger } from '../kit/logger.js';
import type { ConnectionRouting } from './connections/acceptor.js';
import { AgentGroup } from './processes/agent-group.js';
import { assertBalance } from './connections/balance.js';
import { bootInfo } from './processes/boot-info.js';
import { Cancellation } from './operations/cancellation.js';
import type { Child, ChildView } from './processes/child.js';
import { freeClusterPort } from '../kit/cluster-port.js';
import { warmWorkers, type Crew, type Deadlines, type Release } from './processes/crew.js';
import { HeldSocket } from './connections/held-socket.js';
import { Listeners } from './connections/listeners.js';
import { Reaper, type InstanceFiles } from './processes/reaper.js';
import { shutdown } from './operations/shutdown.js';
import { Orders } from './operations/orders.js';
import { onSignals } from './operations/signals.js';
import { openInspector } from './processes/inspect.js';
import { Spares } from './processes/spares.js';
import { threeStrikes } from './three-strikes.js';
import { WorkerGroup } from './processes/worker-group.js';
import { Operations } from './operations.js';
import { PartList } from './plugins/parts.js';
import type { Plugin } from '../api/plugin.js';
import { Post } from './post.js';
import { Releases } from './releases.js';
import { serviceTable, type ServiceEvent, type ServiceState } from './life.js';
import type { Status } from '../api/status.js';
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

  state: ServiceState = 'idle';
  readonly #releases: Releases;
  #version = '';
  readonly #options: BootstrapOptions;
  readonly #parts = new PartList();
  readonly #operations: Operations;
  readonly #orders: Orders;
  readonly #post: Post;
  readonly #reaper = new Reaper();
  readonly #logFiles: LogFiles;
  readonly #progress = new Set<(progress: Progress) => void>();
  readonly #cleanup: (() => void)[] = [];
  #closing: Promise<number> | null = null;
  readonly #cancellation = new Cancellation();
  #setUp!: () => void;
  #hurry!: () => void;
  readonly #hurried: Promise<void>;
  #resolveExit!: (code: number) => void;
  readonly #hookTimeout: number;
  #applied = false;
  #applying = '';
  #announced = false;

  constructor(loaded: LoadedConfig, options: BootstrapOptions = {}) {
    this.#options = options;
    this.#hookTimeout = options.hookTimeout ?? 30_000;
    this.#releases = new Releases(loaded, this.hooks, options.reloadConfig);
    const { config } = loaded;
    this.#logFiles = new LogFiles(options.logFiles);
    this.logger = new Logger({ label: 'master', ...config.log, output: this.#logFiles.output });
    this.taps = guard(this.hooks, { timeout: this.#hookTimeout, onError: (error) => this.logger.error(error) });
    this.exited = new Promise((resolve) => { this.#resolveExit = resolve; });
    const up = new Promise<void>((resolve) => { this.#setUp = resolve; });
    this.#orders = new Orders(() => up.then(() => this.#operations.idle()));
    this.#hurried = new Promise((resolve) => { this.#hurry = resolve; });

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
      ready: (child) => this.#post.announce.agentReady(child, this.started),
      lost: () => { if (!closing()) this.#post.announce.agentLost(); },
      message: (child, message) => this.#post.route(message, 'agent', child.pid),
      closing,
      release: () => this.#releases.current,
    });
    this.workers = new WorkerGroup(crew, {
      ready: (child) => {
        this.#post.announce.workerReady(child, this.started);
        if (this.started && this.workers.slots.every((slot) => slot.ready)) this.listeners.release();
      },
      exit: (child) => { if (!closing()) this.#post.announce.workerLost(child); },
      message: (child, message) => this.#post.route(message, 'app', child.pid),
      closing,
      started: () => this.started,
      release: () => this.#releases.current,
      limitReached: (decision) => { if (decision === 'exit') this.#giveUp('refork limit reached'); },
    });
    this.#post = new Post({
      hooks: this.hooks,
      logger: this.logger,
      workers: this.workers,
      agents: this.agents,
      hasAgent: () => this.#hasAgent(),
      address: () => addressOf(this),
      isEgg: loaded.target.entry.framework !== undefined,
    });
    this.messenger = this.#post.messenger;
    this.messenger.on('reload-worker', () => this.#orderReload('reload-worker'));
    crewOf.set(this, crew);
    this.#operations = new Operations({
      hooks: this.hooks,
      logger: this.logger,
      deadlines: this.deadlines,
      workers: this.workers,
      agents: this.agents,
      listeners: this.listeners,
      releases: this.#releases,
      cancellation: this.#cancellation,
      started: () => this.started,
      closing,
      hasAgent: () => this.#hasAgent(),
      transition: (event) => this.#transition(event),
      step: (...step) => this.#step(...step),
    });
  }

  get config(): Config {
    return this.#releases.current.loaded.config;
  }

  get loaded(): LoadedConfig {
    return this.#releases.current.loaded;
  }

  /** All were ready once: from here on the dead are replaced. */
  get started(): boolean {
    return this.state === 'running' || this.state === 'reloading';
  }

  get closing(): boolean {
    return this.#closing !== null;
  }

  get generation(): number {
    return this.#releases.current.generation;
  }

  get lastReload(): ReloadResult | null {
    return this.#operations.lastReload;
  }

  /** Every child process that lives. */
  children(): ChildView[] {
    return [...this.agents.current ? [this.agents.current] : [], ...this.workers.children()];
  }

  /** Applies the plugins and lets them see the configuration; `start` does it by itself, `framework config` wants no more. */
  async prepare(): Promise<void> {
    await this.applyPlugins();
    await this.#releases.first();
  }

  /** Applies the plugins; `framework hooks` wants no more. */
  async applyPlugins(): Promise<void> {
    if (this.#applied) return;
    this.#applied = true;
    await loadPlugins(this, this.#releases.current.loaded);
  }

  async applyPlugin<Options>(plugin: Plugin<Options>, options: Options): Promise<void> {
    this.#applying = plugin.name;
    await inTime(this.#hookTimeout, async () => plugin.apply(this as never, options), () => new ClusterError('ERR_CLUSTER_HOOK_TIMEOUT',
      `plugin "${plugin.name}" did not finish apply within ${this.#hookTimeout} ms`));
  }

  /**
   * Gives a plugin's part to every child of a role: a module URL whose default export `(runtime, options)` runs before the
   * app. An agent part is a reason to have an agent, unless it is `passive`. @throws ClusterError ERR_CLUSTER_NOT_CLONEABLE, _PLUGIN
   */
  inject(role: ChildRole, url: string | URL, options: unknown = {}, { passive = false }: { passive?: boolean } = {}): void {
    this.#parts.add(this.#applying, role, String(url), options, passive);
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
    await this.prepare();
    const { hooks } = this;
    const { config } = this;
    assertBalance(config.balance);
    cluster.schedulingPolicy = config.balance === 'os' ? cluster.SCHED_NONE : cluster.SCHED_RR;
    if (this.#options.ownsProcess !== false) this.#cleanup.push(this.#onSignals());
    this.#cleanup.push(this.#post.listenToParent());
    this.#transition('start');
    process.title = `${config.title}: master`;
    this.logger.info(`hatchery ${this.#version} starts "${config.title}" on node ${process.version} (${config.workers} worker${config.workers === 1 ? '' : 's'})`);
    try {
      await this.#orClosed(hooks.beforeStart.promise(config));
      await openInspector(config, this.#hasAgent(), this.logger);
      if (this.loaded.target.entry.framework !== undefined) this.#releases.change({ clusterPort: await freeClusterPort() });
      this.#reaper.start(Math.max(this.deadlines.drain, this.deadlines.agent) + 1_000);
      if (this.#options.files) this.#reaper.files(this.#options.files);
      await this.#startChildren();
      this.#setUp();
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
    if (queue) await this.#operations.idle();
    return this.#operations.reload(reason, agent);
  }

  /**
   * Replaces all workers with as little delay as can be: the old ones go first, connections wait until the new ones are
   * there, configuration and code are read afresh. For development; `reload` is for production. Rejects with the first
   * failure, and the slots stay empty until the next call. `signal` gives it up.
   * @throws ClusterError ERR_CLUSTER_START, _START_TIMEOUT, _CONFIG, _APP_NOT_FOUND, _BUSY, _CLOSING
   */
  restart(reason: string, { agent = false, signal }: { agent?: boolean; signal?: AbortSignal } = {}): Promise<ReloadResult> {
    return this.#operations.restart(reason, { agent, signal }, async () => {
      if (!this.#announced) await this.#orClosed(this.#allReady());
    });
  }

  /** Changes the number of workers: `3`, `"+1"`, `"-2"`; never below 1. @throws ClusterError ERR_CLUSTER_BUSY, _CLOSING, _USAGE, _START */
  scale(change: number | string): Promise<{ from: number; to: number }> {
    return this.#operations.scale(change);
  }

  /**
   * Replaces one worker, its successor ready first: recycling. Resolves false when something else is under way or it is not
   * in charge any more.
   */
  async replace(child: ChildView, reason: CloseReason): Promise<boolean> {
    const slot = this.workers.slots[child.slot];
    if (this.#operations.busy || this.closing || !slot || slot.current !== child) return false;
    await this.#operations.recycle(slot, reason);
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
      if (this.#hasAgent()) await this.#orClosed(this.#startAgent());
      this.#transition('agentReady');
      await this.#orClosed(this.workers.grow(config.workers, this.#releases.current));
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

  async #startAgent(): Promise<void> {
    const ready = this.agents.start(this.#releases.current);
    // After the agent's own fork, which comes in this turn of the event loop.
    setImmediate(() => { if (!this.closing && !this.workers.pending) warmWorkers(crewOf.get(this) as Crew, this.config.workers, this.#releases.current); });
    await ready;
  }

  /** For the first time. */
  async #allReady(): Promise<void> {
    this.#announced = true;
    this.#post.announce.clusterReady();
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
    return onSignals({
      closing: () => this.closing,
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
        this.#orderReload('SIGHUP');
      },
      scale: (by) => this.#orders.add(() => this.scale(by > 0 ? '+1' : '-1').catch((error: Error) => { if (!this.closing) this.logger.error(error); })),
    });
  }

  /** What goes wrong with a reload is in the log already. */
  #orderReload(reason: string): void {
    this.#orders.add(() => this.reload(reason).catch(() => {}), 'reload');
  }

  /** A close in the middle of something ends the wait for it. */
  #orClosed<T>(promise: Promise<T>): Promise<T> {
    return this.#cancellation.orCancelled(promise);
  }

  #boot(role: ChildRole, slot: number, release: Release): Omit<BootInfo, 'id'> {
    const boot = bootInfo(role, slot, release, this.#parts.of(role), this.#hasAgent(), role === 'agent' ? this.deadlines.agent : this.deadlines.drain);
    return { ...boot, listen: { ...boot.listen, inherited: this.inheritedSockets } };
  }

  /** There is something for an agent: its module, a framework, a plugin's part, or `agent: true`. */
  #hasAgent(): boolean {
    const { entry } = this.loaded.target;
    return entry.agent !== undefined || entry.framework !== undefined || this.#parts.wantsAgent;
  }

  #count() {
    return { agent: this.agents.alive ? 1 : 0, workers: this.workers.ready().length, expectsAgent: this.#hasAgent(), pending: this.closing || this.#operations.busy || this.agents.pending || this.workers.pending };
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

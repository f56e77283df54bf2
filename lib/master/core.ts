import type { InstanceFiles, ReloadResult } from '../api/control.js';
import { createHooks, type Hooks, type TapRecord } from '../api/hooks.js';
import type { Deadlines } from '../api/plugin.js';
import type { Environment } from '../config/environment.js';
import type { LoadedConfig } from '../config/load.js';
import { Faults } from '../kit/faults.js';
import { LogFiles, type LogPaths } from '../kit/log-files.js';
import { Logger } from '../kit/logger.js';
import { ownVersion } from '../kit/package.js';
import { grantAccess, socketAccess } from '../kit/sockets.js';
import { ProcessDir } from '../kit/own-places.js';
import { Listeners } from './connections/listeners.js';
import { Room } from './connections/room.js';
import { Routing } from './connections/routing.js';
import { Installation } from './installation.js';
import { createDeadlines, Life } from './life.js';
import { lookAfter } from './operations/after-faults.js';
import { Tasks } from './operations/tasks.js';
import { ChildOutput } from './child-output.js';
import { standardAt, toDescriptors } from './outlet.js';
import { guard } from './plugins/guard.js';
import { Parts, Routes } from './plugins/parts.js';
import { Post } from './post.js';
import type { Child } from './processes/child.js';
import { Ducks } from './processes/departures.js';
import type { StartProcess } from './processes/forked.js';
import { Forker } from './processes/forker.js';
import { Leftovers } from './processes/leftovers.js';
import { Reaper } from './processes/reaper.js';
import { Deaths } from './processes/policies.js';
import { ServedBefore } from './processes/served-before.js';
import { Slot } from './processes/slot.js';
import { Spares, Standbys } from './processes/spares.js';
import { Workers } from './processes/workers.js';
import { Releases } from './releases.js';

/** How a Bootstrap runs, beside its configuration. */
export interface BootstrapOptions {
  /** Reads the configuration afresh; a reload uses it. Without it a reload takes new code with the old configuration. */
  reloadConfig?: () => Promise<LoadedConfig>;
  /** A daemon's log files, opened anew at SIGHUP, SIGUSR1 and SIGUSR2. */
  logFiles?: LogPaths;
  /** The variables that the process was started with; made here by itself. */
  environment?: Environment;
  /** What a SIGKILLed master would leave behind of its entry in the registry. */
  files?: InstanceFiles | null;
  /** Given a function to be told of the entry's new place. */
  onFilesMoved?: (tell: (files: InstanceFiles) => void) => void;
  /** Milliseconds a tap of a gate hook may take; 30,000 by default. */
  hookTimeout?: number;
  /** Milliseconds between the checks of the three strikes; 10,000 by default. */
  checkInterval?: number;
  /** Handle signals, and end the process when the cluster has closed by itself or by a signal; true by default. */
  ownsProcess?: boolean;
  /**
   * What nobody in this process catches is a line in the log, counted, and ends nothing; false by default, as code that is not ours
   * may run in it and is to end it then.
   */
  catchUncaught?: boolean;
  /** Starts the app in this very process, and no other is forked. */
  alone?: StartProcess;
  /** It is only looked at, and not started: plugins are told so (`master.dry`), as they are applied all the same. */
  dry?: boolean;
}

/** What a master is made of, in order of need. Operations are functions of it; Bootstrap and the plugins' faces show parts of it. */
export interface Core {
  readonly options: Required<Pick<BootstrapOptions, 'hookTimeout' | 'checkInterval' | 'ownsProcess' | 'dry'>> & BootstrapOptions;
  readonly version: string;
  readonly life: Life;
  readonly logFiles: LogFiles;
  /** What agent and workers print, where the master writes it. */
  readonly childOutput: ChildOutput;
  readonly logger: Logger;
  /** What was thrown where nobody waits for it. */
  readonly faults: Faults;
  readonly hooks: Hooks;
  /** Every tap with its plugin, calls and time. */
  readonly taps: TapRecord[];
  readonly tasks: Tasks;
  /** How long children may take to close; graceful-exit sets it. */
  readonly deadlines: Deadlines;
  readonly releases: Releases;
  /** For sockets and files that end with this master. */
  readonly dir: ProcessDir;
  readonly installation: Installation;
  /** The plugins' parts for the other processes. */
  readonly parts: Parts;
  /** Plugins that are applied, or about to be, by name, and where each is written. */
  readonly plugins: Map<string, string>;
  /** What plugins share with each other. */
  readonly shared: Map<string, { plugin: string; value: unknown }>;
  /** Paths that the control socket answers, and the health port those that are `open`. */
  readonly routes: Routes;
  readonly inheritedSockets: Record<string, number>;
  readonly routing: Routing;
  readonly listeners: Listeners;
  readonly spares: Spares;
  readonly reaper: Reaper;
  readonly leftovers: Leftovers;
  readonly deaths: Deaths;
  /** Workers out of their slots, which finish their streams. */
  readonly ducks: Ducks;
  /** What workers have to serve to be ready. */
  readonly served: ServedBefore;
  readonly forker: Forker;
  /** Workers that have loaded the app, or do, and are in no slot yet. */
  readonly standbys: Standbys;
  readonly agent: Slot;
  readonly workers: Workers;
  readonly post: Post;
  /** Undone when all is closed, the last one first. */
  readonly cleanup: (() => void)[];
  lastReload: ReloadResult | null;
  /** Requests that were cut as workers ended. */
  cut: number;
  /** Plugins are applied once. */
  prepared: Promise<void> | null;
}

/** For the first time, or anew. A failure is told where the lines go on, and once while it stays the same. */
export function openLogs(logFiles: LogFiles, logger: Logger): void {
  const before = logFiles.failure;
  logFiles.reopen();
  const { failure } = logFiles;
  if (failure === before) return;
  if (failure === null) logger.info('log files can be opened again');
  else logger.warn(`log files cannot be opened: ${failure}; lines go on to those that are open`);
}

/** `start`: how processes come to be, where they are no real ones. */
export function createCore(loaded: LoadedConfig, given: BootstrapOptions, start = given.alone): Core {
  const { config } = loaded;
  const options = { hookTimeout: 30_000, checkInterval: 10_000, ownsProcess: true, dry: false, ...given };
  const life = new Life();
  const logFiles = new LogFiles(options.logFiles, config.log.rotate);
  const { level, format } = config.log;
  const logger = new Logger({ label: 'master', level, format, output: toDescriptors(logFiles) });
  logFiles.trouble = (text) => logger.warn(text);
  if (logFiles.any && options.ownsProcess) standardAt(logFiles.output);
  openLogs(logFiles, logger);
  const hooks = createHooks();
  const faults = new Faults((text, error) => logger.error(text, { error }));
  const taps = guard(hooks, { timeout: options.hookTimeout, onError: (error) => {
    faults.told(error);
    life.fault(error);
  } });
  const reaper = new Reaper(faults);
  const dir = new ProcessDir((made) => reaper.dir(made));
  const routing = new Routing((error) => faults.told(error), (): number => workers.slots.length);
  const releases = new Releases(loaded, hooks, options.reloadConfig, options.environment);
  const served = new ServedBefore({ logger, releases });
  const deadlines = createDeadlines();
  const room = new Room((): number => workers.slots.length, logger);
  const base = {
    options,
    version: ownVersion(),
    life,
    logFiles,
    childOutput: new ChildOutput(logFiles, logger),
    logger,
    faults,
    hooks,
    taps,
    tasks: new Tasks(logger, faults),
    deadlines,
    ducks: new Ducks({ logger, hooks, deadlines }),
    dir,
    installation: new Installation(dir, logger),
    releases,
    served,
    parts: new Parts(),
    plugins: new Map(),
    shared: new Map(),
    routes: new Routes(),
    inheritedSockets: {},
    routing,
    room,
    listeners: new Listeners(config.startTimeout, routing, room, faults),
    spares: new Spares(faults),
    reaper,
    leftovers: new Leftovers(logger),
    deaths: new Deaths(),
    cleanup: [],
    lastReload: null,
    cut: 0,
    prepared: null,
  };
  const forking = { ...base, forker: new Forker(base, start) };
  const manned = { ...forking, standbys: new Standbys(forking) };
  const workers: Workers = new Workers(manned);
  const staffed = { ...manned, agent: new Slot(manned, 'agent', -1), workers };
  hooks.workerReady.tap({ name: 'hatchery', stage: -100 }, (child) => served.ready(child as Child));
  // Who was missing may have been the last to want another address.
  hooks.workerReady.tap({ name: 'hatchery', stage: 100 }, () => { if (life.started && workers.complete) base.listeners.release(); });
  base.listeners.grant = (file) => {
    const config = [releases.coming, releases.current].find((one) => one?.loaded.config.path === file)?.loaded.config;
    // What can be known before has been looked at; the file system may say no all the same.
    if (config && file !== null) faults.run(`mode and group of ${file}`, () => grantAccess(file, socketAccess(config)));
  };
  const core: Core = { ...staffed, post: new Post(staffed) };
  hooks.workerExit.tap({ name: 'hatchery', stage: -100 }, (_, { cut = 0 }) => { core.cut += cut; });
  hooks.beforeDrain.tap({ name: 'hatchery', stage: -100 }, (child) => { (child as Child).operation = base.tasks.operation; });
  hooks.workerExit.tap({ name: 'hatchery', stage: 100 }, (child, exit) => {
    if (child.intent !== null && exit.cause === 'requested') hooks.drained.call(child, exit, child.operation);
  });
  faults.after = lookAfter(core);
  return core;
}

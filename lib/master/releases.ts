import { realpathSync } from 'node:fs';
import type { ForkSpec, Hooks } from '../api/hooks.js';
import { assign, Environment, type Variables } from '../config/environment.js';
import { renewed } from '../config/check.js';
import type { LoadedConfig } from '../config/load.js';
import { assertOwnGroup } from '../config/resolve-config.js';
import { isNamed } from '../config/provenance.js';
import { HTTPS_PORT, defaults, type Config } from '../config/schema.js';
import type { ChildRole, Entry } from '../ipc/messages.js';
import { removeStaleSocket } from '../kit/sockets.js';

/** What the processes of one generation are forked from: a reload makes a new one and keeps the old until it has succeeded. */
export interface Release {
  generation: number;
  loaded: LoadedConfig;
  /** For a framework's own use; the same for all its processes, and through reloads. */
  clusterPort?: number;
  /** Nobody waits long for addresses that new code may not have any more: in development. */
  quick?: boolean;
  /** What its processes have otherwise than the master's environment has it, where that is of another release. */
  environment?: Variables;
  /** What its configuration says and only a restart does, a line each. */
  waiting: readonly string[];
}

/** What a process of this role loads. */
export function entryOf(role: ChildRole, { loaded, clusterPort }: Release): Entry {
  const { entry: { app, agent, framework }, realDir: baseDir } = loaded.target;
  if (framework) {
    const { title, workers, https } = loaded.config;
    const options = { baseDir, framework, title, workers, port: chosenPort(loaded), clusterPort, https };
    return { kind: 'framework', file: framework, options };
  }
  if (role === 'agent') return typeof agent === 'string' ? { kind: 'agent', file: agent } : { kind: 'none' };
  return app ? { kind: 'app', file: app } : { kind: 'none' };
}

/** The port, where somebody chose it, `dev` perhaps: else the framework's own configuration may. */
const chosenPort = (loaded: Release['loaded']): number | undefined => {
  const { port } = loaded.config;
  return isNamed(loaded, ['port']) || ![defaults.port, HTTPS_PORT].includes(port) ? port : undefined;
};

/** The release as one process has it, to which taps of the fork may have given an entry and a directory of its own. */
export function variantOf(release: Release, { role, entry, dir }: ForkSpec): Release {
  const { loaded, loaded: { target } } = release;
  const kind = target.entry.framework === undefined ? role === 'agent' ? 'agent' : 'app' : 'framework';
  const hasEntry = entry !== null && entry !== target.entry[kind];
  if (!hasEntry && dir === target.realDir) return release;
  const { script, ...own } = target.entry;
  const of = hasEntry ? { ...own, [kind]: entry } : { ...own, ...(script === undefined ? {} : { script }) };
  const cwd = dir === target.realDir ? target.cwd : dir;
  return { ...release, loaded: { ...loaded, target: { ...target, dir, realDir: realpathSync(dir), cwd, entry: of } } };
}

/** The configuration that children are forked from, and the next one: read afresh, and shown to the plugins. */
export class Releases {
  current: Release;
  /** On its way: some processes are of it already. */
  coming: Release | null = null;
  /** What this process was started with, and what that has become. */
  readonly environment: Environment;
  /** Of a release that has been read and is not the current one yet. */
  #changing: { keep: () => void; undo: () => void } | null = null;
  readonly #hooks: Hooks;
  readonly #read: (() => Promise<LoadedConfig>) | undefined;
  /** Of the last release that was made: one whose reload was aborted has had its number. */
  #generation = 1;
  /** What the master was made with. */
  #inForce: Config;
  /** The number of workers as the configuration last said it; `scale` may have changed it since. */
  #workers: number;

  /** `read` reads the configuration afresh; without it a reload takes new code with the old configuration. */
  constructor(loaded: LoadedConfig, hooks: Hooks, read?: () => Promise<LoadedConfig>, environment = new Environment()) {
    this.environment = environment;
    this.current = { generation: 1, loaded, waiting: [] };
    this.#inForce = loaded.config;
    this.#hooks = hooks;
    this.#read = read;
    this.#workers = loaded.config.workers;
  }

  /** The first configuration, as the plugins want it. */
  async first(): Promise<void> {
    const loaded = await this.#resolve(this.current.loaded);
    this.#workers = loaded.config.workers;
    this.#inForce = loaded.config;
    this.change({ loaded });
  }

  /**
   * For a reload: how many workers there are is scale's matter while the cluster runs. Files of variables are read anew;
   * `given` takes the place of the environment that the master was started with.
   */
  async next(workers: number, given?: Variables): Promise<Release> {
    const loaded = await this.#fresh(given);
    const { config, waiting } = renewed(loaded.config, this.#inForce, workers);
    return this.#with({ ...loaded, config }, workers, waiting);
  }

  /** For a restart in development: a number of workers that was edited counts. */
  async edited(workers: number): Promise<Release> {
    const fresh = await this.#fresh();
    const said = fresh.config.workers;
    const count = said === this.#workers ? workers : said;
    this.#workers = said;
    return { ...this.#with(fresh, count), quick: true };
  }

  /** What replaces a process of this generation that has died. */
  after(generation: number): Release {
    return this.coming?.generation === generation ? this.coming : this.current;
  }

  change(change: Partial<Release>): void {
    this.current = { ...this.current, ...change };
  }

  /** The next one has become the current one: its environment stays. */
  take(release: Release): void {
    this.change(release);
    this.#changing?.keep();
    this.#changing = null;
  }

  /** Nothing is on its way any more; one that was not taken leaves the environment as it was. */
  settle(): void {
    this.coming = null;
    this.#changing?.undo();
    this.#changing = null;
  }

  /** After a scale. */
  workers(count: number): void {
    const { loaded } = this.current;
    this.change({ loaded: { ...loaded, config: { ...loaded.config, workers: count } } });
  }

  async #fresh(given?: Variables): Promise<LoadedConfig> {
    const before = this.current.loaded;
    this.#enter(given);
    try {
      const loaded = this.#read ? await this.#resolve(await this.#read()) : before;
      assertOwnGroup(loaded);
      const { path } = loaded.config;
      if (path !== undefined && path !== before.config.path) await removeStaleSocket(path);
      return loaded;
    } catch (error) {
      this.settle();
      throw error;
    }
  }

  /** A configuration that is code reads `process.env`. Processes of the old release that are forked meanwhile have the old one. */
  #enter(given?: Variables): void {
    const { change, keep } = this.environment.next(given);
    const old = assign(process.env, change);
    this.change({ environment: old });
    this.#changing = { keep, undo: () => {
      assign(process.env, old);
      this.change({ environment: undefined });
    } };
  }

  #with(loaded: LoadedConfig, workers: number, waiting: readonly string[] = []): Release {
    const { clusterPort } = this.current;
    const next = { ...loaded, config: { ...loaded.config, workers } };
    return { generation: ++this.#generation, clusterPort, environment: undefined, waiting, loaded: next };
  }

  /** What the taps make of it is validated again, also where they changed it in place. */
  async #resolve(loaded: LoadedConfig): Promise<LoadedConfig> {
    // `isUsed` would be true of the guard alone.
    if (this.#hooks.configResolved.taps.length === 0) return loaded;
    const before = structuredClone(loaded.config);
    const config = this.#hooks.configResolved.call(loaded.config);
    const { revalidate } = await import('../config/resolve-config.js');
    return { ...loaded, config: revalidate(config, { ...loaded, config: before }) };
  }
}

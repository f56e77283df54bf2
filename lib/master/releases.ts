import type { Hooks } from '../api/hooks.js';
import type { LoadedConfig } from '../config/load.js';
import { removeStaleSocket } from '../kit/sockets.js';

/** What the processes of one generation are forked from: a reload makes a new one and keeps the old until it has succeeded. */
export interface Release {
  generation: number;
  loaded: LoadedConfig;
  /** For a framework's own use; the same for all its processes, and through reloads. */
  clusterPort?: number;
}

/** The configuration that children are forked from, and the next one: read afresh, and shown to the plugins. */
export class Releases {
  current: Release;
  /** On its way: some processes are of it already. */
  coming: Release | null = null;
  readonly #hooks: Hooks;
  readonly #read: (() => Promise<LoadedConfig>) | undefined;
  /** Of the last release that was made: one whose reload was aborted has had its number. */
  #generation = 1;
  /** The number of workers as the configuration last said it; `scale` may have changed it since. */
  #workers: number;

  /** `read` reads the configuration afresh; without it a reload takes new code with the old configuration. */
  constructor(loaded: LoadedConfig, hooks: Hooks, read?: () => Promise<LoadedConfig>) {
    this.current = { generation: 1, loaded };
    this.#hooks = hooks;
    this.#read = read;
    this.#workers = loaded.config.workers;
  }

  /** The first configuration, as the plugins want it. */
  async first(): Promise<void> {
    const loaded = await this.#resolve(this.current.loaded);
    this.#workers = loaded.config.workers;
    this.change({ loaded });
  }

  /** For a reload: how many workers there are is scale's matter while the cluster runs. */
  async next(workers: number): Promise<Release> {
    return this.#with(await this.#fresh(), workers);
  }

  /** For a restart in development: a number of workers that was edited counts. */
  async edited(workers: number): Promise<Release> {
    const fresh = await this.#fresh();
    const said = fresh.config.workers;
    const count = said === this.#workers ? workers : said;
    this.#workers = said;
    return this.#with(fresh, count);
  }

  /** What replaces a process of this generation that has died. */
  after(generation: number): Release {
    return this.coming?.generation === generation ? this.coming : this.current;
  }

  change(change: Partial<Release>): void {
    this.current = { ...this.current, ...change };
  }

  /** After a scale. */
  workers(count: number): void {
    const { loaded } = this.current;
    this.change({ loaded: { ...loaded, config: { ...loaded.config, workers: count } } });
  }

  async #fresh(): Promise<LoadedConfig> {
    const before = this.current.loaded;
    const loaded = this.#read ? await this.#resolve(await this.#read()) : before;
    const { path } = loaded.config;
    if (path !== undefined && path !== before.config.path) await removeStaleSocket(path);
    return loaded;
  }

  #with(loaded: LoadedConfig, workers: number): Release {
    const { clusterPort } = this.current;
    return { generation: ++this.#generation, clusterPort, loaded: { ...loaded, config: { ...loaded.config, workers } } };
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

import { statSync, type Stats } from 'node:fs';
import path from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type { FSWatcher } from 'chokidar';
import { ignoring } from './ignore.js';

export interface WatchRequest {
  dir: string;
  /** Relative to `dir`. */
  watch: readonly string[];
  ignore: readonly string[];
  /** Files that count wherever they are: the configuration's, absolute. */
  files: readonly string[];
  polling: boolean;
  /** What was changed after this (ms since the epoch) and before the watching began counts as changed. */
  since: number;
}

export interface WatchEvents {
  changed(file: string): void;
  /** One line for a person. */
  notice(line: string): void;
}

/** The system's limits on watching, and what raises them. */
const LIMITS: Readonly<Record<string, string>> = {
  ENOSPC: 'the system watches no more files (fs.inotify.max_user_watches)',
  EMFILE: 'no more files can be open or watched (ulimit -n, fs.inotify.max_user_instances)',
};
const INTERVAL = 500;
/** Files that are looked at in one turn of the event loop. */
const AT_ONCE = 100;

/** Watches with chokidar, which is loaded here: a start does not wait for it. */
export class Watcher {
  readonly #request: WatchRequest;
  readonly #events: WatchEvents;
  readonly #ignored: (file: string) => boolean;
  /** What each file looked like when it was last seen. */
  readonly #seen = new Map<string, string>();
  /** Those that were there at the last look; what comes and goes between two looks is nobody's business. */
  readonly #known = new Set<string>();
  #watcher: FSWatcher | null = null;
  #closed = false;

  constructor(request: WatchRequest, events: WatchEvents) {
    this.#request = request;
    this.#events = events;
    this.#ignored = ignoring(request.dir, request.ignore, new Set(request.files));
  }

  /** Resolves with the number of files once all are watched. */
  async start(polling = this.#request.polling): Promise<number> {
    const { watch } = await import('chokidar');
    const { dir, files } = this.#request;
    if (this.#closed) return 0;
    const watcher = watch([...this.#request.watch.map((one) => path.resolve(dir, one)), ...files], {
      ignored: (file) => this.#ignored(file),
      usePolling: polling,
      interval: INTERVAL,
      binaryInterval: INTERVAL,
      ignorePermissionErrors: true,
    });
    this.#watcher = watcher;
    let isReady = false;
    watcher.on('add', (file, stats) => this.#touched(file, stats, !isReady));
    watcher.on('change', (file) => this.#touched(file));
    watcher.on('unlink', (file) => {
      this.#seen.delete(file);
      if (this.#known.has(file)) this.#events.changed(file);
    });
    // chokidar drops a second change of a file within 50 ms; the system's own events tell of it.
    watcher.on('raw', (_event, name, details) => this.#raw(name, details as { watchedPath?: string }));
    return new Promise((resolve) => {
      watcher.on('error', (error) => {
        const { code = '', message } = error as NodeJS.ErrnoException;
        if (this.#watcher !== watcher) return;
        if (!LIMITS[code] || polling) {
          this.#events.notice(`watching: ${message}`);
          return;
        }
        this.#watcher = null;
        void watcher.close();
        this.#events.notice(`${LIMITS[code]}: looking at the files twice a second instead`);
        resolve(this.start(true));
      });
      watcher.on('ready', () => {
        isReady = true;
        void this.#lookAgain().then(() => resolve(this.#seen.size));
      });
    });
  }

  /** What was written between the first look at a file and the watching of its folder, no event tells. */
  async #lookAgain(): Promise<void> {
    let looked = 0;
    for (const file of [...this.#seen.keys()]) {
      if (this.#closed) return;
      this.#touched(file);
      if (++looked % AT_ONCE === 0) await turn();
    }
  }

  /** Of files that were told as changed, those that really are: no editor's or tool's temporary ones. */
  settle(files: readonly string[]): string[] {
    return files.filter((file) => {
      if (statSync(file, { throwIfNoEntry: false })) {
        this.#known.add(file);
        return true;
      }
      this.#seen.delete(file);
      return this.#known.delete(file);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#watcher?.close();
  }

  #raw(name: string | null, { watchedPath }: { watchedPath?: string }): void {
    if (!watchedPath || !name) return;
    for (const file of [watchedPath, path.join(watchedPath, name)]) if (this.#seen.has(file)) this.#touched(file);
  }

  /** Looks at a file again, and tells when it is another one than last time. */
  #touched(file: string, known?: Stats, first = false): void {
    const stats = known ?? statSync(file, { throwIfNoEntry: false });
    if (!stats?.isFile()) return;
    const look = `${stats.mtimeMs}:${stats.size}:${stats.ino}`;
    if (this.#seen.get(file) === look) return;
    this.#seen.set(file, look);
    if (first) this.#known.add(file);
    if (!first || stats.mtimeMs > this.#request.since) this.#events.changed(file);
  }
}

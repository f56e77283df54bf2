import { statSync, type Stats } from 'node:fs';
import path from 'node:path';
import type { FSWatcher } from 'chokidar';

export interface FileEventsRequest {
  /** Of a path, at first without its figures. */
  ignored(file: string, stats?: Stats): boolean;
  /** How deep below what is asked for; without it all. */
  depth?: number;
  /** Look at every file twice a second. */
  polling: boolean;
}

export interface FileEventsListener {
  /** It is there, or other than it was, or neither. `first`: it was there when the watching began. */
  seen(file: string, stats: Stats, first: boolean): void;
  gone(file: string): void;
  /** Whether the system's events for this name matter. */
  knows(file: string): boolean;
  /** One line for a person. */
  notice(line: string): void;
}

/** The system's limits on watching, and what raises them. */
const LIMITS: Readonly<Record<string, string>> = {
  ENOSPC: 'the system watches no more files (fs.inotify.max_user_watches)',
  EMFILE: 'no more files can be open or watched (ulimit -n, fs.inotify.max_user_instances)',
};
const INTERVAL = 500;

/** chokidar, which is loaded here, as a start does not wait for it; where the system watches no more, it looks by itself. */
export class FileEvents {
  readonly #request: FileEventsRequest;
  readonly #listener: FileEventsListener;
  readonly #paths: string[] = [];
  #polling: boolean;
  #watcher: FSWatcher | null = null;
  #closed = false;

  constructor(request: FileEventsRequest, listener: FileEventsListener) {
    this.#request = request;
    this.#listener = listener;
    this.#polling = request.polling;
  }

  /** Resolves once what is there has been seen. */
  async start(paths: readonly string[]): Promise<void> {
    this.#paths.push(...paths);
    const { watch } = await import('chokidar');
    if (this.#closed) return;
    const { ignored, depth } = this.#request;
    const polling = this.#polling;
    const watcher = this.#watcher = watch([...this.#paths], {
      ignored: (file, stats) => ignored(file, stats),
      ...(depth === undefined ? {} : { depth }),
      usePolling: polling,
      interval: INTERVAL,
      binaryInterval: INTERVAL,
      ignorePermissionErrors: true,
    });
    let isReady = false;
    watcher.on('add', (file, stats) => this.#seen(file, !isReady, stats));
    watcher.on('change', (file) => this.#seen(file));
    watcher.on('unlink', (file) => this.#listener.gone(file));
    // chokidar drops a second change of a file within 50 ms; the system's own events tell of it.
    watcher.on('raw', (_event, name, details) => this.#raw(name, details as { watchedPath?: string }));
    return new Promise((resolve) => {
      watcher.on('error', (error) => {
        const { code = '', message } = error as NodeJS.ErrnoException;
        if (this.#watcher !== watcher) return;
        if (!LIMITS[code] || polling) {
          this.#listener.notice(`watching: ${message}`);
          return;
        }
        this.#watcher = null;
        void watcher.close();
        this.#polling = true;
        this.#listener.notice(`${LIMITS[code]}: looking at the files twice a second instead`);
        resolve(this.start([]));
      });
      watcher.on('ready', () => {
        isReady = true;
        resolve();
      });
    });
  }

  /** More of them; the first ones start it. */
  async add(paths: readonly string[]): Promise<void> {
    if (this.#paths.length === 0) return this.start(paths);
    this.#paths.push(...paths);
    this.#watcher?.add([...paths]);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#watcher?.close();
  }

  #raw(name: string | null, { watchedPath }: { watchedPath?: string }): void {
    if (!watchedPath || !name) return;
    for (const file of [watchedPath, path.join(watchedPath, name)]) if (this.#listener.knows(file)) this.#seen(file);
  }

  #seen(file: string, first = false, known?: Stats): void {
    const stats = known ?? statSync(file, { throwIfNoEntry: false });
    if (stats?.isFile()) this.#listener.seen(file, stats, first);
  }
}

import { fstatSync, realpathSync, statSync, type Stats } from 'node:fs';
import path from 'node:path';
import { Contents } from './contents.js';
import { FileEvents, type FileEventsListener } from './file-events.js';
import { ignoring, isSource, namedBy } from './ignore.js';

export interface WatchRequest {
  dir: string;
  /** Relative to `dir`. */
  watch: readonly string[];
  ignore: readonly string[];
  /** Files that count wherever they are: the configuration's, absolute. */
  files: readonly string[];
  polling: boolean;
}

export interface WatchEvents {
  /** A file may be another one than before; `settle` says. */
  changed(file: string): void;
  /** What was written after this (ms since the epoch), and before the file was first seen, counts as changed. */
  since(file: string): number;
  /** Nobody serves: what nobody has loaded may be what was missing. */
  failing(): boolean;
  /** One line for a person. */
  notice(line: string): void;
}

/** How often is looked whether a folder elsewhere is another one by now, ms. */
const AGAIN = 500;

/** Tells which files of the app have changed: those below the watched directories, and those that were loaded from elsewhere. */
export class Watcher {
  readonly #events: WatchEvents;
  readonly #paths: string[];
  readonly #ignored: (file: string, isFile?: boolean) => boolean;
  readonly #isNamed: (file: string) => boolean;
  readonly #inside: FileEvents;
  #outside: FileEvents;
  readonly #contents = new Contents();
  /** Our own standard output and error, where they are files. */
  readonly #own = new Set([1, 2].map(openFile));
  #loaded: ReadonlySet<string> = new Set();
  /** Where what was loaded lies that no root covers: when that came up, and which folder it is. */
  readonly #dirs = new Map<string, { since: number; identity: string }>();
  readonly #added = new Set<string>();
  readonly #noticed = new Set<string>();
  #watching = false;
  #closed = false;
  #again: NodeJS.Timeout | undefined;
  readonly #makeOutside: () => FileEvents;

  constructor({ dir, watch, ignore, files, polling }: WatchRequest, events: WatchEvents) {
    const roots = watch.map((one) => realOf(path.resolve(dir, one)));
    this.#events = events;
    this.#paths = [...roots, ...files];
    this.#ignored = ignoring({ dir, roots, ignore, kept: new Set(files) });
    this.#isNamed = namedBy(dir, ignore);
    const listener = (seen: FileEventsListener['seen']): FileEventsListener => ({
      seen,
      gone: (file) => this.#gone(file),
      knows: (file) => this.#contents.has(file),
      notice: (line) => this.#notice(line),
    });
    this.#inside = new FileEvents({ polling, ignored: (file, stats) => this.#ignored(file, stats?.isFile()) },
      listener((file, stats, first) => this.#seen(file, stats, first)));
    this.#makeOutside = () => new FileEvents({ polling, depth: 0, ignored: (file, stats) => this.#isBeside(file, stats) },
      listener((file, stats) => this.#seenOutside(file, stats)));
    this.#outside = this.#makeOutside();
  }

  /** Resolves with the number of files once all are watched; what is in them is read then. */
  async start(): Promise<number> {
    await this.#inside.start(this.#paths);
    this.#watching = true;
    return this.#contents.size;
  }

  async read(): Promise<void> {
    await this.#contents.read((file) => this.#changed(file), () => !this.#closed);
    await this.#lookOutside();
  }

  /** From now on these count as well, wherever they lie. */
  async use(loaded: ReadonlySet<string>): Promise<void> {
    this.#loaded = loaded;
    if (this.#watching) await this.#lookOutside();
  }

  /** Of files that were told as changed, those that really are: another content, and no editor's or tool's temporary ones. */
  settle(files: readonly string[]): string[] {
    const real = files.filter((file) => this.#contents.hasChanged(file));
    // By a link and by its own name.
    return real.filter((file) => realOf(file) === file || !real.includes(realOf(file)));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#again);
    await Promise.all([this.#inside.close(), this.#outside.close()]);
  }

  async #lookOutside(): Promise<void> {
    const now = Date.now();
    const fresh = [...this.#loaded].filter((file) => !this.#added.has(file) && this.#ignored(file, true) && !this.#isNamed(file));
    const dirs = new Set(fresh.map((file) => path.dirname(file)).filter((dir) => !this.#dirs.has(dir)));
    const beside = fresh.filter((file) => !dirs.has(path.dirname(file)));
    for (const file of fresh) this.#added.add(file);
    for (const dir of dirs) this.#dirs.set(dir, { since: now, identity: identityOf(dir) });
    if (fresh.length === 0 || this.#closed) return;
    this.#again ??= setInterval(() => this.#lookAgain(), AGAIN).unref();
    await this.#outside.add([...dirs, ...beside]);
  }

  /** What watches a folder goes with it: one that was made anew (a build of a linked package, a checkout) has nobody. */
  #lookAgain(): void {
    const others = [...this.#dirs].filter(([dir, { identity }]) => identityOf(dir) !== identity);
    for (const [dir, known] of others) known.identity = identityOf(dir);
    if (!others.some(([, { identity }]) => identity !== '') || this.#closed) return;
    void this.#outside.close();
    this.#outside = this.#makeOutside();
    void this.#outside.add([...this.#dirs.keys()]);
  }

  /** Of the directories in which loaded files lie, neither a source nor loaded. */
  #isBeside(file: string, stats?: Stats): boolean {
    if (this.#dirs.has(file)) return false;
    return stats?.isDirectory() === true || !(this.#loaded.has(file) || isSource(path.basename(file)));
  }

  #seen(file: string, stats: Stats, first: boolean): void {
    if (this.#isOwn(stats) || !this.#contents.see(file, stats)) return;
    if (first) this.#contents.know(file);
    if (!first || stats.mtimeMs > this.#events.since(file)) this.#changed(file);
  }

  #seenOutside(file: string, stats: Stats): void {
    if (!this.#loaded.has(file)) {
      const isNew = stats.ctimeMs > (this.#dirs.get(path.dirname(file))?.since ?? Infinity);
      if (isNew && this.#contents.see(file, stats) && this.#events.failing()) this.#changed(file);
      return;
    }
    const first = !this.#contents.has(file) && !this.#contents.isKnown(file);
    this.#seen(file, stats, first);
    if (first) void this.#contents.read((moved) => this.#changed(moved), () => !this.#closed);
  }

  #gone(file: string): void {
    this.#contents.gone(file);
    if (this.#contents.isKnown(file)) this.#events.changed(file);
  }

  #changed(file: string): void {
    this.#contents.changed(file);
    this.#events.changed(file);
  }

  /** Both ways to watch meet the same limits. */
  #notice(line: string): void {
    if (!this.#noticed.has(line)) this.#events.notice(line);
    this.#noticed.add(line);
  }

  #isOwn({ dev, ino }: Stats): boolean {
    return this.#own.has(`${dev}:${ino}`);
  }
}

function openFile(fd: number): string {
  try {
    const stats = fstatSync(fd, { bigint: true });
    return stats.isFile() ? `${stats.dev}:${stats.ino}` : '';
  } catch {
    return '';
  }
}

/** Empty: there is none. Numbers of what was removed are given again at once. */
function identityOf(dir: string): string {
  const stats = statSync(dir, { throwIfNoEntry: false });
  return stats ? `${stats.ino}:${stats.birthtimeMs}` : '';
}

function realOf(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

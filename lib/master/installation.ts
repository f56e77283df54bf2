import { lstatSync, mkdirSync, readFile, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompressSync } from 'node:zlib';
import { packageFolder, readPackage } from '../config/modules.js';
import { ClusterError } from '../kit/errors.js';
import type { Logger } from '../kit/logger.js';
import { ownVersion, packageRoot, setWhereBuilt } from '../kit/package.js';
import type { ProcessDir } from '../kit/own-places.js';

/**
 * Of the built package: what children run, and what a master loads when it is first needed. build.mjs has made one file of it: a line
 * with the names, and the contents in the same order, compressed.
 */
const HELD = 'dist/held.br';
/** Not that of fs.promises: to load that takes two milliseconds, and most of a megabyte. */
const read = promisify(readFile);
/** The folder in the master's own directory. */
const COPY = 'code';

/**
 * Where this version of the package lies. A deploy may delete, or replace by another version, the folder that the master was
 * started from; its children have to be of its own version all the same, as they speak with it. So their files are held in
 * memory from the first ready on, compressed: 0.3 MB. As long as the folder is as it was, children are started from there; then from
 * the target's own installation, where that is the same to the byte; then from a copy in the master's own directory, written
 * when it is first needed (docs/decisions/held-code.md).
 */
export class Installation {
  readonly #dir: ProcessDir;
  readonly #logger: Logger;
  #held: Held | null = null;
  /** Folders that have been found to be the same, and how their files looked then. */
  readonly #same = new Map<string, string>();
  #last = packageRoot;

  constructor(dir: ProcessDir, logger: Logger) {
    this.#dir = dir;
    this.#logger = logger;
  }

  /** Reads what may be gone later. Never rejects: without it there is the folder itself, as long as that is there. */
  async hold(): Promise<void> {
    try {
      const version = ownVersion();
      const own = await read(path.join(packageRoot, 'package.json'));
      const all = await read(path.join(packageRoot, HELD));
      const end = all.indexOf('\n');
      const names = JSON.parse(all.toString('utf8', 0, end)) as string[];
      this.#held = new Held(own, names, all.subarray(end + 1));
      // As it is now it is what this master was started from.
      this.#same.set(packageRoot, looksOf(packageRoot, this.#held.names) ?? '');
      this.#version = version;
      setWhereBuilt(() => this.root());
    } catch (error) {
      this.#logger.warn(`what children run cannot be held: ${(error as Error).message}`);
    }
  }

  #version = '';

  /** Gives the memory back. */
  release(): void {
    if (this.#held) setWhereBuilt(() => packageRoot);
    this.#held = null;
  }

  /**
   * The package's folder that a process can be started from now; `target`: the app's directory.
   * @throws ClusterError ERR_CLUSTER_INSTALLATION
   */
  root(target?: string): string {
    if (!this.#held || this.#isSame(packageRoot)) return this.#use(packageRoot);
    const installed = target === undefined ? undefined : packageFolder('hatchery', target);
    if (installed !== undefined && this.#isSame(installed)) return this.#use(installed);
    try {
      return this.#use(this.#copy(this.#held));
    } catch (error) {
      const other = installed ?? target ?? 'no other place';
      throw new ClusterError('ERR_CLUSTER_INSTALLATION', `no process can be started: ${this.#whatBecame()}; `
        + `${other} does not have ${this.#version}, and no copy can be written: ${(error as Error).message}`);
    }
  }

  #use(root: string): string {
    if (root !== this.#last) {
      const back = root === packageRoot ? 'the package is there again' : this.#whatBecame();
      this.#logger.warn(`${back}; processes are started from ${root}`);
    }
    return this.#last = root;
  }

  #whatBecame(): string {
    const { version } = readPackage(packageRoot);
    if (version === undefined) return `${packageRoot}, which this master was started from, is gone`;
    const what = version === this.#version ? 'has changed' : `is of version ${String(version)} now`;
    return `${packageRoot}, which this master (${this.#version}) was started from, ${what}`;
  }

  /** Every file is as it was when it was read; what looks different is compared to the byte. */
  #isSame(root: string): boolean {
    const held = this.#held as Held;
    const looks = looksOf(root, held.names);
    if (looks === null) return false;
    if (this.#same.get(root) === looks) return true;
    for (const [name, content] of held.files()) if (!content.equals(readFileSync(path.join(root, name)))) return false;
    this.#same.set(root, looks);
    return true;
  }

  #copy(held: Held): string {
    const root = path.join(this.#dir.path, COPY);
    if (this.#isSame(root)) return root;
    const draft = `${root}.new`;
    for (const dir of [draft, root]) rmSync(dir, { recursive: true, force: true });
    for (const [name, content] of held.files()) {
      const file = path.join(draft, name);
      mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
      writeFileSync(file, content, { mode: 0o600 });
    }
    renameSync(draft, root);
    return root;
  }
}

class Held {
  /** Paths in the package. */
  readonly names: readonly string[];
  readonly #own: Buffer;
  readonly #rest: Buffer;

  constructor(own: Buffer, rest: readonly string[], compressed: Buffer) {
    this.names = ['package.json', ...rest];
    this.#own = own;
    this.#rest = compressed;
  }

  /** Takes 20 ms. */
  files(): ReadonlyMap<string, Buffer> {
    const texts = JSON.parse(brotliDecompressSync(this.#rest).toString()) as string[];
    return new Map(this.names.map((name, at) => [name, at === 0 ? this.#own : Buffer.from(texts[at - 1] as string)]));
  }
}

/** Null: one is missing. */
function looksOf(root: string, names: Iterable<string>): string | null {
  const looks: unknown[] = [];
  for (const name of names) {
    const file = lstatSync(path.join(root, name), { throwIfNoEntry: false });
    if (!file?.isFile()) return null;
    looks.push(file.dev, file.ino, file.size, file.mtimeMs);
  }
  return looks.join(' ');
}

import { statSync } from 'node:fs';
import path from 'node:path';
import type { Master } from '../../lib/index.js';
import { Changes } from './changes.js';
import { relative } from './failure.js';
import { Restless, type Verdict } from './restless.js';
import type { Uses } from './uses.js';

/** The wait after a file that changes all the time, ms. */
const SLOWLY = 1_000;
/** Names that are told one by one. */
const MOST = 100;

const CONSEQUENCES: Readonly<Record<Exclude<Verdict, 'counts'>, string>> = {
  own: 'no change by it counts',
  out: 'it is left out from now on',
  slow: 'it reloads once a second at most',
};

/** From what the watcher tells to what somebody has saved. */
export class Saves {
  readonly #master: Master;
  readonly #uses: Uses;
  readonly #warn: (line: string) => void;
  readonly #saved: (files: string[]) => void;
  readonly #changes: Changes;
  readonly #restless = new Restless();
  readonly #out = new Set<string>();
  readonly #slow = new Set<string>();
  /** Files and folders that were named. */
  readonly #named = new Set<string>();

  constructor(
    master: Master, { uses, debounce, warn, saved }:
    { uses: Uses; debounce: number; warn: (line: string) => void; saved: (files: string[]) => void },
  ) {
    this.#master = master;
    this.#uses = uses;
    this.#warn = warn;
    this.#saved = saved;
    const settled = master.guard('changes', (files: Map<string, number>) => this.#settled(files));
    this.#changes = new Changes(debounce, settled, (file) => sizeOf(file) > 0);
  }

  /** Set by who watches. */
  settle = (files: string[]): string[] => files;

  get pending(): boolean {
    return this.#changes.pending;
  }

  changed(file: string): void {
    if (!this.#out.has(file)) this.#changes.add(file, this.#slow.has(file) ? SLOWLY : undefined);
  }

  /** Resolves when what has changed by now has been told as saved, or is no save; undefined: there is nothing. */
  still(): Promise<void> | undefined {
    return this.#changes.still();
  }

  /** The children start on what was saved. */
  started(): void {
    this.#restless.started();
  }

  /** They are up, or have failed. */
  finished(): void {
    this.#restless.finished();
  }

  stop(): void {
    this.#changes.stop();
  }

  #settled(files: Map<string, number>): void {
    const saved = this.settle([...files.keys()]).filter((file) => this.#counts(file, files.get(file) as number));
    if (saved.length > 0) this.#saved(saved);
  }

  #counts(file: string, at: number): boolean {
    const loaded = this.#uses.has(file) || this.#master.files.includes(file);
    const { verdict, why } = this.#restless.judge(file, { at, loaded, written: this.#uses.isWritten(file) });
    if (verdict === 'counts') return true;
    if (verdict === 'out') this.#out.add(file);
    if (verdict === 'slow') this.#slow.add(file);
    this.#name(file, `${why}: ${CONSEQUENCES[verdict]}`);
    return verdict === 'slow';
  }

  /** Once a file; from the second of a folder on, the folder. */
  #name(file: string, what: string): void {
    const { realDir } = this.#master.target;
    const folder = path.dirname(file);
    if (this.#named.has(file) || this.#named.has(folder + path.sep) || this.#named.size >= MOST) return;
    const isSecond = folder !== realDir && [...this.#named].some((one) => path.dirname(one) === folder);
    this.#named.add(isSecond ? folder + path.sep : file);
    const name = relative(isSecond ? folder : file, realDir);
    const pattern = path.relative(realDir, isSecond ? folder : file).replaceAll(path.sep, '/');
    const line = `"plugins": { "dev-reload": { "ignore": [${JSON.stringify(pattern)}] } }`;
    this.#warn(`${name} ${what}; to say so yourself: ${line}`);
  }
}

/** Bytes; 0 where there is none, as between the two steps of those who write anew what they have emptied or removed. */
const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

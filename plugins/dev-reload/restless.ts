/** After a start, the time in which what changes most likely belongs to it, ms. */
const RIGHT_AFTER = 100;
/** Nobody saves a file that fast again and again, ms. */
const FAST = 500;
/** Fast changes in a row: a file that nobody has loaded is left out, one that is loaded waits. */
const RESTLESS = 6;
const BUSY = 10;
/** What the app itself writes, and what changes at every start at the same moment, is left out after this many times. */
const ENOUGH = 3;
/** The same of a file that is loaded, and that others write: it may be code after all. */
const SURE = 10;
/** Nobody has written something else, again and again, this soon after each start, ms. */
const SOON = 1_000;
/** Files that are kept account of. */
const MOST = 5_000;

/** How far apart "the same moment" of starts may be, ms and parts of the moment. */
const SPREAD = { loose: [100, 0.2], tight: [25, 0.1] } as const;

export interface ChangedFile {
  /** `performance.now()` */
  at: number;
  /** A child has just written it. */
  written: boolean;
  /** A child has loaded it, or it is the configuration's. */
  loaded: boolean;
}

/** `slow`: it counts, and the next change of it waits. `own`: this one does not count; `out`: no other one does either. */
export type Verdict = 'counts' | 'slow' | 'own' | 'out';

const OWN = 'is written by the app itself';
const ALWAYS = 'changes all the time';

interface Account {
  last: number;
  fast: number;
  written: number;
  /** The start in which it changed last, and when in each of those in a row, ms. */
  start: number;
  moments: number[];
}

/** Finds the files that change by themselves, so that no reload ever leads to the next. */
export class Restless {
  readonly #accounts = new Map<string, Account>();
  #start = 0;
  #startedAt = 0;
  #finishedAt = Infinity;

  started(): void {
    this.#start++;
    this.#startedAt = performance.now();
    this.#finishedAt = Infinity;
  }

  finished(): void {
    this.#finishedAt = performance.now();
  }

  judge(file: string, { at, written, loaded }: ChangedFile): { verdict: Verdict; why: string } {
    const account = this.#accountOf(file);
    account.fast = at - account.last < FAST ? account.fast + 1 : 1;
    account.last = at;
    this.#noteStart(account, at);
    if (written && !loaded) return { verdict: 'own', why: OWN };
    if (written && ++account.written >= ENOUGH) return { verdict: 'out', why: OWN };
    if (changesWithStarts(account.moments, loaded)) return { verdict: 'out', why: 'changes at each start' };
    if (!loaded && account.fast >= RESTLESS) return { verdict: 'out', why: ALWAYS };
    return { verdict: account.fast >= BUSY ? 'slow' : 'counts', why: ALWAYS };
  }

  #noteStart(account: Account, at: number): void {
    if (at < this.#startedAt || account.start === this.#start) return;
    const belongs = at < this.#finishedAt + RIGHT_AFTER;
    if (!belongs || account.start !== this.#start - 1) account.moments = [];
    if (!belongs) return;
    account.start = this.#start;
    account.moments = [...account.moments, at - this.#startedAt].slice(-SURE);
  }

  #accountOf(file: string): Account {
    const known = this.#accounts.get(file);
    if (known) return known;
    if (this.#accounts.size >= MOST) this.#accounts.clear();
    const account = { last: -Infinity, fast: 0, written: 0, start: -1, moments: [] };
    this.#accounts.set(file, account);
    return account;
  }
}

function changesWithStarts(moments: readonly number[], loaded: boolean): boolean {
  const recent = moments.slice(loaded ? -SURE : -ENOUGH);
  if (recent.length < (loaded ? SURE : ENOUGH)) return false;
  const [apart, part] = loaded ? SPREAD.tight : SPREAD.loose;
  const latest = Math.max(...recent);
  if (!loaded && latest < SOON) return true;
  return latest - Math.min(...recent) <= Math.max(apart, part * latest);
}

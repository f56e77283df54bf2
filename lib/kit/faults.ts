import type { AsyncLocalStorage } from 'node:async_hooks';
import { messageOf } from './errors.js';

/** Told of each fault that is to be in the log: `text` is its line. */
export type TellFault = (text: string, error: unknown) => void;

/** The same fault again within this time (ms) is counted, and told with the next one. */
const QUIET = 1_000;
/** Different faults that are remembered for that. */
const REMEMBERED = 100;

/**
 * Whose code runs: set while a plugin from outside is applied or called, and carried along to whatever it begins, its timers and
 * sockets too. Made by the first of them, as it slows every promise down on Node 20 and 22.
 */
let owners: AsyncLocalStorage<string> | undefined;

/** Runs `task` as code of `owner`, and all that comes of it. */
export function runOwned<T>(owner: string, task: () => T): T {
  owners ??= new (process.getBuiltinModule('node:async_hooks').AsyncLocalStorage)<string>();
  return owners.run(owner, task);
}

/** Who began what runs now; undefined: the master itself. */
export const ownerOf = (): string | undefined => owners?.getStore();

/** Whose error it is, for those who catch it where its code has returned. */
const blamed = new WeakMap<object, string>();

/** A function that is to be called by others later, as code of whoever gives it. */
export function owned<Args extends unknown[], Result>(task: (...args: Args) => Result): (...args: Args) => Result {
  const owner = ownerOf();
  if (owner === undefined) return task;
  const blame = (error: unknown): never => {
    if (typeof error === 'object' && error !== null) blamed.set(error, owner);
    throw error;
  };
  return (...args) => {
    try {
      const result = runOwned(owner, () => task(...args));
      return result instanceof Promise ? result.catch(blame) as Result : result;
    } catch (error) {
      return blame(error);
    }
  };
}

/**
 * What is thrown where Node calls the master (timers, events, sockets, signals, promises that nobody waits for) ends here: it is
 * told whole, counted, and ends nothing. `after` is called with each, to look whether anything was left undone.
 */
export class Faults {
  /** How many there were. */
  count = 0;
  after: () => void = () => {};
  readonly #tell: TellFault;
  readonly #told = new Map<string, { at: number; more: number }>();

  constructor(tell: TellFault) {
    this.#tell = tell;
  }

  /** A fault that somebody has caught; `where` begins its line. Never throws. */
  caught(where: string, error: unknown): void {
    const owner = ownerOf() ?? (typeof error === 'object' && error !== null ? blamed.get(error) : undefined);
    const name = `plugin "${owner}"`;
    this.#count(() => `${where}: ${messageOf(error)}${owner === undefined || where.includes(name) ? '' : ` (begun by ${name})`}`, error);
  }

  /** One whose message is a line by itself. Never throws. */
  told(error: Error): void {
    this.#count(() => error.message, error);
  }

  /** Runs `task` now; undefined when it throws. A promise that it gives is watched. */
  run<T>(where: string, task: () => T): T | undefined {
    try {
      const result = task();
      if (result instanceof Promise) this.watch(where, result);
      return result;
    } catch (error) {
      this.caught(where, error);
      return undefined;
    }
  }

  /** The same function, for Node to call. */
  guard<Args extends unknown[], Result>(where: string, task: (...args: Args) => Result): (...args: Args) => Result | undefined {
    return (...args) => this.run(where, () => task(...args));
  }

  /** A promise that nobody waits for. */
  watch(where: string, promise: Promise<unknown>): void {
    promise.catch((error: unknown) => this.caught(where, error));
  }

  #count(line: () => string, error: unknown): void {
    this.count++;
    try {
      const text = line();
      const more = this.#again(text);
      if (more !== null) this.#tell(more > 0 ? `${text} (and ${more} more like it)` : text, error);
    } catch {
      // It cannot even be told: it is counted.
    }
    try {
      this.after();
    } catch {
      // As above.
    }
  }

  /** How many like this one were left untold before it; null: this one is, too. */
  #again(what: string): number | null {
    const now = performance.now();
    const told = this.#told.get(what);
    if (told && now - told.at < QUIET) {
      told.more++;
      return null;
    }
    this.#told.delete(what);
    this.#told.set(what, { at: now, more: 0 });
    const [oldest] = this.#told.keys();
    if (this.#told.size > REMEMBERED && oldest !== undefined) this.#told.delete(oldest);
    return told?.more ?? 0;
  }
}

type Refuse = (what: string) => never;

/** Who loads something now, where process.exit is called. */
let loading: AsyncLocalStorage<Refuse> | undefined;
let loads = 0;

/**
 * Runs code of the user's that the master loads. Where it would end the process, as what checks an environment does (envalid), it is
 * refused in place of the site: with this error, whether it catches what is thrown there or not. The working directory is put back.
 */
export async function contained<T>(task: () => Promise<T>): Promise<T> {
  const current = loading ??= new (process.getBuiltinModule('node:async_hooks').AsyncLocalStorage)<Refuse>();
  const { exit, abort } = process;
  const dir = workingDir();
  let refuse!: Refuse;
  const refused = new Promise<never>((_, reject) => {
    refuse = (what) => {
      const error = new Error(`it calls process.${what} while it is loaded, which would end the master: it has to throw an error`);
      reject(error);
      throw error;
    };
  });
  refused.catch(() => {});
  if (loads++ === 0) {
    process.exit = (code) => current.getStore()?.(`exit(${code ?? ''})`) ?? exit.call(process, code);
    process.abort = () => current.getStore()?.('abort()') ?? abort.call(process);
    restore = () => Object.assign(process, { exit, abort });
  }
  try {
    return await Promise.race([refused, current.run(refuse, task)]);
  } finally {
    if (--loads === 0) {
      restore();
      // It slows promises down on Node 20 and 22.
      current.disable();
    }
    if (dir !== undefined && workingDir() !== dir) process.chdir(dir);
  }
}

let restore: () => void = () => {};

/** Undefined: somebody has deleted it. */
function workingDir(): string | undefined {
  try {
    return process.cwd();
  } catch {
    return undefined;
  }
}

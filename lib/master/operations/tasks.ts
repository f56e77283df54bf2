import type { Progress } from '../../api/control.js';
import { ClusterError } from '../../kit/errors.js';
import { owned, type Faults } from '../../kit/faults.js';
import type { Logger } from '../../kit/logger.js';

interface Waiting {
  name: string;
  /** One that waits under the same word is the same one. */
  once: string | undefined;
  done: Promise<unknown>;
  start(): Promise<void>;
  refuse(error: Error): void;
}

/** Operations that wait for their turn. */
const MOST_WAITING = 100;

/**
 * Whatever is done to a running cluster is a task; one runs at a time, those that wait have their turn in the order in which
 * they came, and a close wins over all: it ends every wait and refuses what comes later. Tasks run once `open` was called,
 * which is when all were ready for the first time.
 */
export class Tasks {
  #open = false;
  #closed: ClusterError | null = null;
  #current: string | null = null;
  /** Nobody has asked for what is under way: whoever wants something waits for its end. */
  #gives = false;
  /** How many have begun. */
  #begun = 0;
  readonly #queue: Waiting[] = [];
  /**
   * Not a promise to race with: each race leaves its result behind on a promise that never settles, and a master that
   * reloads for months would keep every configuration that it ever had.
   */
  readonly #waits = new Set<(error: Error) => void>();
  readonly #listeners = new Set<(progress: Progress) => void>();
  readonly #logger: Logger;
  readonly #faults: Faults;

  constructor(logger: Logger, faults: Faults) {
    this.#logger = logger;
    this.#faults = faults;
  }

  /** The name of what is under way. */
  get current(): string | null {
    return this.#current;
  }

  /** `reload-3`: what is under way, the third that was begun; a close is `close`, and before any `start`. Null: nothing is. */
  get operation(): string | null {
    if (this.#closed) return 'close';
    if (!this.#open) return 'start';
    return this.#current === null ? null : `${this.#current}-${this.#begun}`;
  }

  /** Something is under way, the start among others, or waits for its turn. */
  get busy(): boolean {
    return !this.#open || this.#current !== null || this.#queue.length > 0;
  }

  /** The cluster runs: what waits may begin. */
  open(): void {
    this.#open = true;
    this.#next();
  }

  /**
   * Now, or not at all; or behind what `gives`. @throws ClusterError ERR_CLUSTER_BUSY: something else is under way, or the cluster
   * starts; _CLOSING
   */
  async run<T>(name: string, task: () => Promise<T>, gives = false): Promise<T> {
    if (this.#closed) throw refusal(name, this.#closed);
    if (!this.#open) throw new ClusterError('ERR_CLUSTER_BUSY', `${name} refused: the cluster is starting`);
    if (this.#current !== null && this.#gives && !gives && this.#queue.length === 0) return this.queue(name, task);
    const ahead = this.#current ?? this.#queue[0]?.name;
    if (ahead !== undefined) throw new ClusterError('ERR_CLUSTER_BUSY', `${name} refused: a ${ahead} is under way`);
    return this.#perform(name, task, gives);
  }

  /**
   * In its turn. With `once`, one that waits under the same word is the same one: its result is given. Rejects with what the
   * task rejects with, with ERR_CLUSTER_BUSY where too many wait, or with ERR_CLUSTER_CLOSING when a close comes first.
   */
  queue<T>(name: string, task: () => Promise<T>, once?: string): Promise<T> {
    if (this.#closed) return Promise.reject(refusal(name, this.#closed));
    const same = once === undefined ? undefined : this.#queue.find((one) => one.once === once);
    if (same) return same.done as Promise<T>;
    if (this.#queue.length >= MOST_WAITING) {
      return Promise.reject(new ClusterError('ERR_CLUSTER_BUSY', `${name} refused: ${MOST_WAITING} operations wait already`));
    }
    let waiting!: Pick<Waiting, 'start' | 'refuse'>;
    const done = new Promise<T>((resolve, reject) => {
      waiting = { start: () => this.#perform(name, task).then(resolve, reject), refuse: reject };
    });
    this.#queue.push({ name, once, done, ...waiting });
    this.#next();
    return done;
  }

  /** Whether one waits under this word. */
  waits(once: string): boolean {
    return this.#queue.some((one) => one.once === once);
  }

  /** As `promise`, or rejects with the close's error when that comes first. The task itself looks after what it has begun. */
  orClosed<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed) reject(this.#closed);
      this.#waits.add(reject);
      promise.then(resolve, reject).finally(() => this.#waits.delete(reject));
    });
  }

  /** Ends every wait. */
  close(error: ClusterError): void {
    this.#closed = error;
    for (const { name, refuse } of this.#queue.splice(0)) refuse(refusal(name, error));
    for (const reject of this.#waits) reject(error);
    this.#waits.clear();
  }

  /** One step of what is under way, for the log and for those who wait and watch. */
  step(task: Progress['task'], text: string, of: Pick<Progress, 'slot' | 'pid'> = {}): void {
    this.#logger.info(text);
    this.tell(task, text, of);
  }

  /** The same for those who wait and watch alone: the log says it in other words already. */
  tell(task: Progress['task'], text: string, { slot, pid }: Pick<Progress, 'slot' | 'pid'> = {}): void {
    const progress: Progress = { task, text, slot, pid };
    for (const listener of this.#listeners) this.#faults.run('progress', () => listener(progress));
  }

  onProgress(listener: (progress: Progress) => void): () => void {
    const own = owned(listener);
    this.#listeners.add(own);
    return () => { this.#listeners.delete(own); };
  }

  async #perform<T>(name: string, task: () => Promise<T>, gives = false): Promise<T> {
    this.#current = name;
    this.#gives = gives;
    this.#begun++;
    try {
      return await task();
    } finally {
      this.#current = null;
      // Whoever waited for this one hears of it first.
      setImmediate(this.#faults.guard('tasks', () => this.#next()));
    }
  }

  #next(): void {
    if (!this.#open || this.#closed || this.#current !== null) return;
    void this.#queue.shift()?.start();
  }
}

const refusal = (name: string, { code, message }: ClusterError) => new ClusterError(code, `${name} refused: ${message}`);

/** What cannot be done to the one process of `--workers 0`. */
export const alone = (what: string) =>
  new ClusterError('ERR_CLUSTER_ALONE', `the app runs in the master's own process (--workers 0); ${what}`);

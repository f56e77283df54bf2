import { LastWords } from './published.js';

interface Topic {
  reg: unknown;
  last?: { value: unknown };
}

/** All that a process wants of whoever leads: told to each leader that it turns to. */
export class Wanted {
  readonly published: LastWords;
  /** Counts the changes. */
  changes = 0;
  readonly #topics = new Map<string, Topic>();
  #events: string[] = [];

  /** `forgets`: called once, as not all is kept any more that is published here. */
  constructor(forgets: () => void) {
    this.published = new LastWords(forgets);
  }

  /** False: this key was wanted already. */
  add(key: string, reg: unknown): boolean {
    if (this.#topics.has(key)) return false;
    this.#topics.set(key, { reg });
    this.changes++;
    return true;
  }

  remove(key: string): boolean {
    if (!this.#topics.delete(key)) return false;
    this.changes++;
    return true;
  }

  topic(key: string): Topic | undefined {
    return this.#topics.get(key);
  }

  /** False: these are the same. */
  listen(events: string[]): boolean {
    if (events.join('\n') === this.#events.join('\n')) return false;
    this.#events = events;
    this.changes++;
    return true;
  }

  get topics(): [key: string, reg: unknown][] {
    return [...this.#topics].map(([key, { reg }]) => [key, reg]);
  }

  get events(): string[] {
    return this.#events;
  }
}

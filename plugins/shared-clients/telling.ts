import type { Tell } from './messages.js';

/** Milliseconds between two looks at whether a process that reads slowly has caught up. */
const PAUSE = 50;

export interface TellingNeeds {
  readonly name: string;
  /** False: it reads slowly, and may have lost this. @throws Error */
  tell(pid: number, message: Tell): boolean;
  /** Resolves when it is not behind with reading. */
  room(pid: number): Promise<void>;
  /** What the last value of a topic is that this process is subscribed to. */
  lastOf(pid: number, key: string): { value: unknown } | undefined;
  warn(text: string, error?: unknown): void;
}

/**
 * What a leader tells the others of its client. One that reads slowly is spared all but the last value of each topic that keeps it,
 * which it gets when there is room: whatever `messages.onFull` says, nobody stays with an old one.
 */
export class Telling {
  readonly #needs: TellingNeeds;
  /** Processes that read slowly, with the keys whose last value they have yet to get. */
  readonly #behind = new Map<number, Set<string>>();

  constructor(needs: TellingNeeds) {
    this.#needs = needs;
  }

  /** @throws Error where nobody can be told that value */
  value(pid: number, key: string, value: unknown, keeps: boolean): void {
    const missing = this.#behind.get(pid);
    if (keeps && missing) return void missing.add(key);
    if (this.#tell(pid, ['value', this.#needs.name, key, value]) || !keeps) return;
    this.#behind.set(pid, new Set([key]));
    void this.#catchUp(pid);
  }

  /** To one who has not heard it yet. */
  last(pid: number, key: string, value: unknown): void {
    try {
      this.value(pid, key, value, true);
    } catch (error) {
      this.#needs.warn(`the topic ${key} of the client "${this.#needs.name}" cannot be told`, error);
    }
  }

  /** @throws Error where nobody can be told these */
  event(pid: number, event: string, args: unknown[]): void {
    this.#tell(pid, ['event', this.#needs.name, event, args]);
  }

  forget(pid: number): void {
    this.#behind.delete(pid);
  }

  async #catchUp(pid: number): Promise<void> {
    await new Promise((resolve) => { setTimeout(resolve, PAUSE).unref(); });
    await this.#needs.room(pid);
    const missing = this.#behind.get(pid) ?? [];
    this.#behind.delete(pid);
    for (const key of missing) {
      const last = this.#needs.lastOf(pid, key);
      if (last) this.last(pid, key, last.value);
    }
  }

  #tell(pid: number, message: Tell): boolean {
    try {
      return this.#needs.tell(pid, message);
    } catch (error) {
      // Its sender keeps no more for it (`onFull: "error"`), which is nothing to those who read.
      if ((error as { code?: unknown }).code === 'ERR_CLUSTER_NOT_READING') return false;
      throw error;
    }
  }
}

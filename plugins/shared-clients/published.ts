import { packed } from '../../lib/runtime.js';
import type { Answer, Published } from './messages.js';

/** Milliseconds that a new leader waits for what others have published last, to say it in the order in which it was said. */
const GATHERS = 1_000;
/** Keys whose last word is kept, and bytes of all of them together. */
const KEPT = 1_000;
const KEPT_BYTES = 64 * 1024 * 1024;

/** The last word of each key, the latest one last. */
export class LastWords {
  readonly #words = new Map<string, { published: Published; bytes: number }>();
  #bytes = 0;
  #forgets: () => void;

  /** `forgets`: called once, as older ones are kept no more. */
  constructor(forgets: () => void = () => {}) {
    this.#forgets = forgets;
  }

  /** The latest one is kept, whatever else. */
  keep(published: Published): void {
    const bytes = bytesOf(published.args);
    this.#forget(published.key);
    this.#words.set(published.key, { published, bytes });
    this.#bytes += bytes;
    for (const key of this.#words.keys()) {
      if (key === published.key || (this.#words.size <= KEPT && this.#bytes <= KEPT_BYTES)) return;
      this.#forget(key);
      this.#forgets();
      this.#forgets = () => {};
    }
  }

  /** It was never said: what was said before it is the last one. */
  takeBack(published: Published, before: Published | undefined): void {
    if (this.get(published.key) !== published) return;
    this.#forget(published.key);
    if (before) this.keep(before);
  }

  get(key: string): Published | undefined {
    return this.#words.get(key)?.published;
  }

  all(): Published[] {
    return [...this.#words.values()].map(({ published }) => published);
  }

  #forget(key: string): void {
    this.#bytes -= this.#words.get(key)?.bytes ?? 0;
    this.#words.delete(key);
  }
}

/** What cannot be sent is nobody's last word: it is taken back. */
function bytesOf(args: readonly unknown[]): number {
  try {
    return packed(args).length;
  } catch {
    return 0;
  }
}

/**
 * What the real client is told by all who publish. Who turns to a new leader tells it his last words once more: they are
 * gathered first, as none of them may come after a newer one of somebody else.
 */
export class Publishing {
  readonly #say: (args: unknown[]) => Promise<Answer>;
  readonly #words = new LastWords();
  readonly #missing: Set<number>;
  #gathered: { published: Published; done: (answer: Answer | PromiseLike<Answer>) => void }[] | null = [];
  #timer: NodeJS.Timeout | null = null;

  /** `say` publishes; `members`: whose last words are waited for. */
  constructor(say: (args: unknown[]) => Promise<Answer>, members: readonly number[]) {
    this.#say = say;
    this.#missing = new Set(members);
  }

  begin(): void {
    this.#timer = setTimeout(() => this.open(), GATHERS).unref();
  }

  add(published: Published): Promise<Answer> {
    return this.#gathered ? new Promise((done) => { this.#gathered?.push({ published, done }); }) : this.#publish(published);
  }

  /** This one has told all that it had, or is gone. */
  heard(pid: number): void {
    this.#missing.delete(pid);
    if (this.#missing.size === 0) this.open();
  }

  /** Nobody is waited for any more. */
  open(): void {
    if (this.#timer) clearTimeout(this.#timer);
    const gathered = this.#gathered?.sort((a, b) => a.published.at - b.published.at) ?? [];
    this.#gathered = null;
    const last = new Map(gathered.map((one) => [one.published.key, one]));
    for (const one of gathered) {
      const isNews = !one.published.again || last.get(one.published.key) === one;
      one.done(isNews ? this.#publish(one.published) : []);
    }
  }

  async #publish(published: Published): Promise<Answer> {
    const { key, at, again, args } = published;
    const known = this.#words.get(key);
    if (again && known && known.at >= at) return [];
    // A key may have its value in it, so that no other one is the same: what is newer is said again, and stays the last word.
    const since = again && args.length === 1 ? this.#words.all().filter((one) => one.at > at) : [];
    this.#words.keep(published);
    const answer = await this.#say(args);
    for (const one of since) await this.#say(one.args);
    return answer;
  }
}

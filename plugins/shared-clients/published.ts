import type { Answer, Published } from './messages.js';

/** Milliseconds that a new leader waits for what others have published last, to say it in the order in which it was said. */
const GATHERS = 1_000;
/** Keys whose last word is kept. */
const KEPT = 1_000;

/** The last word of each key, the latest one last. */
export class LastWords {
  readonly #words = new Map<string, Published>();

  keep(published: Published): void {
    this.#words.delete(published.key);
    this.#words.set(published.key, published);
    if (this.#words.size > KEPT) this.#words.delete(this.#words.keys().next().value as string);
  }

  /** It was never said: what was said before it is the last one. */
  takeBack(published: Published, before: Published | undefined): void {
    const { key } = published;
    if (this.#words.get(key) !== published) return;
    if (before) this.#words.set(key, before);
    else this.#words.delete(key);
  }

  get(key: string): Published | undefined {
    return this.#words.get(key);
  }

  all(): Published[] {
    return [...this.#words.values()];
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

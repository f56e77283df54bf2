/** An entry of the stream: its place, who has sent it, and its bytes as base64. */
export interface Entry { at: string; from: string; message: string }

/** Entries, and characters of them, that are kept; and that are given at once. */
const MOST = 1_000;
const MOST_LENGTH = 2 * 1024 * 1024;
const AT_ONCE = 250;
const LENGTH_AT_ONCE = 1024 * 1024;

/** A place in the stream is before another one. */
export const isBefore = (one: string, other: string): boolean => {
  const [ms, n] = numbersOf(one);
  const [otherMs, otherN] = numbersOf(other);
  return ms < otherMs || (ms === otherMs && n < otherN);
};

const numbersOf = (place: string): [number, number] => {
  const [ms, n = '0'] = place.split('-');
  return [Number(ms), Number(n)];
};

/** What was read last of the stream, so that the processes of a host need not all read it in Redis. */
export class Recent {
  #entries: Entry[] = [];
  #length = 0;
  /** All after this one are here. */
  #since: string;

  constructor(since: string) {
    this.#since = since;
  }

  add(entry: Entry): void {
    this.#entries.push(entry);
    this.#length += entry.message.length;
    while (this.#entries.length > MOST || this.#length > MOST_LENGTH) {
      const oldest = this.#entries.shift() as Entry;
      this.#length -= oldest.message.length;
      this.#since = oldest.at;
    }
  }

  /** The next ones, in order; null: some of them are not here any more. */
  after(place: string): Entry[] | null {
    if (isBefore(place, this.#since)) return null;
    const first = this.#entries.findIndex(({ at }) => isBefore(place, at));
    return first < 0 ? [] : atOnce(this.#entries.slice(first, first + AT_ONCE));
  }
}

/** As many as go in one answer, one at least. */
export function atOnce(entries: readonly Entry[]): Entry[] {
  let length = 0;
  const end = entries.findIndex(({ message }, at) => (length += message.length) > LENGTH_AT_ONCE && at > 0);
  return entries.slice(0, end < 0 ? AT_ONCE : Math.min(end, AT_ONCE));
}

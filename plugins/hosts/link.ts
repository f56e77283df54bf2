import { EventEmitter } from 'node:events';
import { atMost, defineShared, type ClusterError, type SharedClient } from '../../lib/runtime.js';
import { Connection, type ConnectionNeeds } from './redis-connection.js';
import type { Hosts, Instance, Report } from './messages.js';
import { atOnce, isBefore, Recent, type Entry } from './recent.js';
import { commands } from './scripts.js';

/** What came of asking for a lease: its token, or 0 and after how many ms to ask again. `highest`: token of all until now. */
export interface Granted { token: number; wait: number; highest: number }

/** Messages of other instances, as base64, and the place up to which these are all. */
export interface Read { next: string; messages: string[] }

/** Given to whoever leads, by the process that it is in. */
export interface LinkOptions {
  make: ConnectionNeeds['make'];
  prefix: string;
  instance: string;
  /** Of leases and presence, ms. */
  ttl: number;
  report(): Promise<Report>;
  /** The whole instance ends. */
  leaves(): boolean;
  say(text: string, isGood: boolean): void;
  [option: string]: unknown;
}

/** Milliseconds that the first connection is waited for, and for the last words. */
const FIRST = 2_000;
const LAST = 500;
/** Messages that are read at once, and milliseconds that a read waits for the first. */
const AT_ONCE = 500;
const BLOCK = 2_000;
/** Milliseconds that what was sent before a process was connected may be old, to be read by it. */
const OLDEST = 600_000;
/** Milliseconds after a read that Redis refuses. */
const REFUSED = 1_000;
/** Names of which it is remembered that somebody leads. */
const NAMES = 1_000;

/** How often a lease and the presence of an instance are renewed, of `ttl`. */
export const beatOf = (ttl: number): number => Math.round(ttl / 3);

/** How long an instance counts that nothing is heard of, ms: one that is only busy for a moment is not gone. */
const presenceOf = (ttl: number): number => Math.max(ttl, 10_000);

/**
 * What an instance has to do with Redis, for all its processes: made in one of them, as any shared client
 * (docs/decisions/hosts.md). Its topic `head` is how far messages go; its events are hints: `free` (a lease, by its name), `up`.
 */
export class Link extends EventEmitter {
  readonly #options: LinkOptions;
  readonly #commands: ReturnType<typeof commands>;
  readonly #writer: Connection;
  readonly #reader: Connection;
  readonly #patience: number;
  readonly #first: Promise<void>;
  /** Who leads, so that processes of this host need not all ask Redis: until when that is so. */
  readonly #taken = new Map<string, Granted & { holder: string; until: number }>();
  /** How far messages go; null: that is not known yet. */
  #head: string | null = null;
  #recent = new Recent('0-0');
  readonly #listeners = new Set<(head: string) => void>();
  #beats: NodeJS.Timeout;
  #closed = false;
  #lostAt: number | null = null;

  constructor(options: LinkOptions) {
    super();
    this.#options = options;
    const { make, prefix, ttl } = options;
    this.#patience = Math.max(1_000, beatOf(ttl));
    this.#commands = commands(prefix);
    let first!: () => void;
    this.#first = new Promise((resolve) => { first = resolve; });
    const probe = this.#commands.probe();
    this.#writer = new Connection({ make, probe, patience: this.#patience, changed: (reason) => {
      first();
      this.#changed(reason);
    } });
    this.#reader = new Connection({ make, probe, patience: this.#patience, changed: () => {} });
    this.#beats = setInterval(() => void this.#beat(), beatOf(ttl)).unref();
    void this.#listen();
  }

  /** Resolves with the first connection, or its failure: nobody waits for Redis to start. */
  async ready(): Promise<void> {
    await atMost(FIRST, this.#first);
  }

  async acquire(name: string, holder: string, floor: number): Promise<Granted> {
    const now = performance.now();
    const known = this.#taken.get(name);
    if (known && known.holder !== holder && known.until > now) return { token: 0, wait: known.until - now, highest: known.highest };
    const { ttl } = this.#options;
    const [token, wait, highest] = await this.#writer.command(this.#commands.acquire(name, holder, ttl, floor)) as [string, number, string];
    const granted: Granted = { token: Number(token), wait, highest: Number(highest) };
    if (this.#taken.size >= NAMES) this.#taken.clear();
    const until = now + Math.min(granted.token > 0 ? ttl : wait, beatOf(ttl));
    this.#taken.set(name, { ...granted, holder: granted.token > 0 ? holder : '', until });
    return granted;
  }

  async renew(name: string, token: number, holder: string): Promise<boolean> {
    return await this.#writer.command(this.#commands.renew(name, token, holder, this.#options.ttl)) === 1;
  }

  async release(name: string, token: number, holder: string): Promise<void> {
    await this.#writer.command(this.#commands.release(name, token, holder));
    this.#isFree(name);
  }

  /** All of them, in order, or none as far as is known. */
  async send(messages: string[]): Promise<void> {
    await this.#writer.command(this.#commands.send(this.#options.instance, messages));
  }

  /** The next messages of other instances; without a place, those of the last `age` ms. */
  async read(after: string | null, age: number): Promise<Read> {
    const place = after ?? await this.#placeBefore(Math.min(age, OLDEST));
    const entries = this.#recent.after(place) ?? atOnce(entriesOf(await this.#writer.command(this.#commands.read(place, AT_ONCE))));
    const own = this.#options.instance;
    return {
      next: entries.at(-1)?.at ?? later(place, this.#head ?? place),
      messages: entries.flatMap(({ from, message }) => from === own || message === '' ? [] : [message]),
    };
  }

  subscribe(_: unknown, listener: (head: string) => void): void {
    this.#listeners.add(listener);
    if (this.#head !== null) listener(this.#head);
  }

  unsubscribe(_: unknown, listener: (head: string) => void): void {
    this.#listeners.delete(listener);
  }

  async list(): Promise<Omit<Hosts, 'unreachable'>> {
    const { ttl } = this.#options;
    const answer = await this.#writer.command(this.#commands.list(presenceOf(ttl)));
    const [instances, leases] = answer as [[string, number, string][], [string, string, number][]];
    return {
      instances: instances.map(([id, seen, report]): Instance => ({ id, seen, ...JSON.parse(report) as Report })),
      leases: leases.map(([name, held, left]) => {
        const [, token, instance = '', pid] = /^(\d+) (.+)\/(\d+)\/\d+$/.exec(held) ?? [];
        return { name, token: Number(token), instance, pid: Number(pid), left };
      }),
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#beats);
    if (this.#options.leaves()) {
      await atMost(LAST, this.#writer.command(this.#commands.leave(this.#options.instance), LAST).catch(() => {}));
    }
    this.#writer.close();
    this.#reader.close();
  }

  #changed(reason: string | null): void {
    const { say, ttl } = this.#options;
    if (reason !== null) {
      this.#lostAt = performance.now();
      return say(`Redis cannot be reached: ${reason}; leases end within ${ttl} ms, and what is for other hosts waits`, false);
    }
    if (this.#lostAt !== null) say(`Redis is there again, after ${Math.round((performance.now() - this.#lostAt) / 1_000)} s`, true);
    this.#lostAt = null;
    this.#taken.clear();
    void this.#beat();
    this.emit('up');
  }

  async #beat(): Promise<void> {
    const { report, instance, ttl } = this.#options;
    try {
      const text = JSON.stringify(await report());
      if (!this.#closed) await this.#writer.command(this.#commands.beat(instance, text, presenceOf(ttl)));
    } catch {
      // The next one comes soon, and the connection tells for itself.
    }
  }

  /** Hears of what is sent, from the end of the stream on whenever a connection was lost. */
  async #listen(): Promise<void> {
    for (;;) {
      await this.#reader.up();
      if (this.#closed) return;
      try {
        await this.#look();
        for (;;) {
          const more = this.#commands.read(this.#head as string, AT_ONCE, BLOCK);
          this.#heard(entriesOf(await this.#reader.command(more, BLOCK + this.#patience)));
        }
      } catch (error) {
        if (this.#closed) return;
        if ((error as ClusterError).code === 'ERR_CLUSTER_HOSTS') continue;
        this.#options.say(`messages of other hosts cannot be read: ${(error as Error).message}`, false);
        await new Promise((resolve) => { setTimeout(resolve, REFUSED).unref(); });
      }
    }
  }

  async #look(): Promise<void> {
    const end = await this.#end();
    this.#recent = new Recent(end);
    this.#tell(end);
  }

  async #end(): Promise<string> {
    try {
      const facts = await this.#reader.command(this.#commands.end()) as unknown[];
      return String(facts[facts.indexOf('last-generated-id') + 1]);
    } catch (error) {
      if (/no such key/.test((error as Error).message)) return '0-0';
      throw error;
    }
  }

  /** By the clock of Redis, which makes the places. */
  async #placeBefore(ms: number): Promise<string> {
    const [seconds, micros] = await this.#writer.command(['TIME']) as [string, string];
    return `${Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000) - ms}-0`;
  }

  #heard(entries: readonly (Entry & { free: string })[]): void {
    for (const entry of entries) {
      this.#recent.add(entry);
      if (entry.free !== '') this.#isFree(entry.free);
    }
    const last = entries.at(-1);
    if (last) this.#tell(last.at);
  }

  #tell(head: string): void {
    this.#head = head;
    for (const listener of this.#listeners) listener(head);
  }

  #isFree(name: string): void {
    this.#taken.delete(name);
    this.emit('free', name);
  }
}

const later = (one: string, other: string): string => isBefore(one, other) ? other : one;

/** As XREAD answers for one stream. */
function entriesOf(answer: unknown): (Entry & { free: string })[] {
  const [stream] = (answer ?? []) as [string, [string, string[]][]][];
  return (stream?.[1] ?? []).map(([at, fields]) => {
    const field = (name: string): string => fields[fields.indexOf(name) + 1] as string;
    return fields[0] === 'free' ? { at, from: '', message: '', free: field('free') }
      : { at, from: field('from'), message: field('message'), free: '' };
  });
}

/** How far messages go, as a place in the stream. */
interface Topics { head: string }

/** How the processes of an instance call the one that has it. `patience`: milliseconds for an answer. */
export const definition = (patience: number) => defineShared<Link, Topics>({
  name: 'hatchery:hosts',
  client: Link as never,
  calls: {
    acquire: { idempotent: true, timeout: patience },
    renew: { idempotent: true, timeout: patience },
    release: { idempotent: true, timeout: patience },
    send: { idempotent: true, timeout: patience },
    read: { idempotent: true, timeout: patience },
    list: { idempotent: true, timeout: patience },
  },
  topics: { head: 'state' },
});

export type LinkClient = SharedClient<Pick<Link, 'acquire' | 'renew' | 'release' | 'send' | 'read' | 'list'>, Topics>;

import { answerLast, readFirst, type ConnectionRouting, type ListeningAddress, type Master, type RawHandle } from '../../lib/index.js';
import type { OverloadStatus } from '../../lib/index.js';
import type { Loads } from './loads.js';
import { commonClock, retryAfter, TEXT, type Arrival } from './messages.js';
import { PRIORITIES, Priorities, type Rule } from './priorities.js';

export interface EntranceOptions {
  acceptor: boolean;
  retryAfter: number;
  never: string[];
  rules: Rule[];
}

type Prepare = NonNullable<ConnectionRouting['prepare']>;
type Admit = Parameters<Prepare>[1];

/** What a connection would wait, as a share of what it may: from there on the master answers, and less is left to the workers. */
const FULL = 1;
/** Bytes of a head that are read at most; of those that a worker gets with the connection, in a note. */
const MOST = 8 * 1024;
const PASSED_ON = 5_500;
/** Milliseconds that a head may take, and that a client may take to go once it is answered. */
const LIMIT = 1_000;
/** Connections whose heads are read, and those that are answered and not gone yet, at once. */
const READING = 256;
const LEAVING = 256;

const LINE = /^([A-Z-]{1,20}) (\S+)/;

/** A connection that may be shed. */
interface Coming {
  admit: Admit;
  drop: () => void;
  at: ListeningAddress;
  note: Arrival;
  fullness: number;
}

type Verdict = 'undecided' | 'pass' | 'shed';

/**
 * Before the workers: when all of them are over their limits, and a connection would wait for longer than its request may, the master
 * tells it so, which costs a fraction of what a worker spends on it. Whatever it cannot tell, it lets through.
 */
export class Entrance {
  readonly #master: Master;
  readonly #loads: Loads;
  readonly #options: EntranceOptions;
  readonly #priorities: Priorities;
  /** What ends each that is answered. */
  readonly #leaving = new Set<() => void>();
  #reading = 0;
  readonly counts: OverloadStatus['acceptor'] = { shed: 0, passed: 0, silent: 0, full: 0, gone: 0 };

  constructor(master: Master, loads: Loads, options: EntranceOptions) {
    this.#master = master;
    this.#loads = loads;
    this.#options = options;
    this.#priorities = new Priorities(options);
  }

  prepare(client: RawHandle, admit: Admit, drop: () => void, at: ListeningAddress): void {
    const note = { at: commonClock() };
    const fullness = this.#options.acceptor && !this.#master.closing ? this.#fullness(at) : 0;
    if (fullness < FULL || !this.#isClear(at)) return admitted(admit, note);
    if (this.#reading >= READING) {
      this.counts.full++;
      return admitted(admit, note);
    }
    this.#read(client, { admit, drop, at, note, fullness });
  }

  #fullness(at: ListeningAddress): number {
    return this.#loads.fullness(at, performance.now()) ?? 0;
  }

  /** Whether the workers speak HTTP/1 there, and nothing is between. */
  #isClear({ address: { port, path } }: ListeningAddress): boolean {
    const children = this.#master.slots.flatMap(({ current, ready }) => ready && current ? [current] : []);
    const isThere = (one: { port?: number; path?: string }) => path === undefined ? one.port === port : one.path === path;
    return children.length > 0 && children.every(({ addresses }) => {
      const there = addresses.filter(isThere);
      return there.length > 0 && there.every(({ protocol }) => protocol === 'http');
    });
  }

  #read(client: RawHandle, { admit, drop, at, note, fullness }: Coming): void {
    let head = '';
    let verdict: Verdict = 'undecided';
    const late = new Error('late');
    this.#reading++;
    const stop = readFirst(client, PASSED_ON, (bytes) => {
      head = bytes.toString('latin1');
      verdict = this.#judge(head, fullness);
      const missing = (head.length < PASSED_ON ? PASSED_ON : MOST) - head.length;
      return verdict === 'pass' || isWhole(head) || missing <= 0 ? null : missing;
    }, this.#master.guard('a connection that may be shed', (outcome) => {
      clearTimeout(timer);
      this.#reading--;
      if (outcome !== 'read' && outcome !== late) {
        this.counts.gone++;
        client.close();
        drop();
      } else if (head === '') {
        // It asks nothing yet, and what it will ask has not waited.
        this.counts.silent++;
        admitted(admit, { at: commonClock() });
      } else if (verdict === 'pass' || (head.length <= PASSED_ON && this.#fullness(at) < FULL)) {
        // Or there is a worker for it by now.
        this.counts.passed++;
        admitted(admit, { ...note, read: Buffer.from(head, 'latin1').toString('base64') });
      } else {
        this.counts.shed++;
        drop();
        this.#refuse(client, head.startsWith('HEAD '));
      }
    }));
    const timer = setTimeout(() => stop(late), LIMIT);
  }

  /** By what has come until now. What goes on to a worker with the connection has to go in one note. */
  #judge(head: string, fullness: number): Verdict {
    if (head.length > PASSED_ON) return 'shed';
    const isWholeHead = isWhole(head);
    const end = head.indexOf('\n');
    if (end < 0 && head.length < PASSED_ON && /^[A-Z]/.test(head)) return 'undecided';
    const [, method = '', target = ''] = LINE.exec(head) ?? [];
    if (method === '' || / HTTP\/2\.0\r?$/.test(head.slice(0, Math.max(0, end)))) return 'pass';
    if (fullness < FULL * PRIORITIES[this.#priorities.of(method, target)]) return 'pass';
    // No worker sheds an upgrade either.
    if (isWholeHead && /\r?\nupgrade:/i.test(head)) return 'pass';
    return isWholeHead ? 'shed' : 'undecided';
  }

  #refuse(client: RawHandle, isHead: boolean): void {
    if (this.#leaving.size >= LEAVING) {
      const [first] = this.#leaving;
      first?.();
    }
    const text = `HTTP/1.1 503 Service Unavailable\r\nRetry-After: ${retryAfter(this.#options.retryAfter)}\r\nContent-Type: text/plain\r\n`
      + `Content-Length: ${TEXT.length}\r\nConnection: close\r\n\r\n${isHead ? '' : TEXT}`;
    const end = answerLast(client, text, LIMIT, () => this.#leaving.delete(end));
    this.#leaving.add(end);
  }

  /** At the end: nobody is waited for. */
  close(): void {
    for (const end of [...this.#leaving]) end();
  }
}

const isWhole = (head: string): boolean => /\r?\n\r?\n/.test(head);

const admitted = (admit: Admit, overload: Arrival): void => admit({ overload });

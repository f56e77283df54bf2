import { ClusterError, TimeLimits } from '../../lib/runtime.js';
import type { Answer, Ask, Attempt, Post } from './messages.js';

/** What the messenger carries all of it as. */
export const ACTION = 'hatchery.shared';

export interface Given {
  /** Milliseconds until it is given up. */
  timeout: number;
  callback?: boolean;
  /** Repeated when its leader is lost. */
  idempotent?: boolean;
}

interface Call {
  message: Ask;
  given: Given;
  /** As performance.now() tells it. */
  begun: number;
  /** Who has it; null: nobody yet. */
  pid: number | null;
  /** It may have been told to a leader already. */
  again: boolean;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** A call on its way to one leader: an object with methods, as closures and a promise for each call are what its garbage is made of. */
class OneAttempt implements Attempt {
  readonly action = ACTION;
  readonly data: Ask;
  readonly timeout: number;
  readonly #calls: Calls;
  readonly #call: Call;
  readonly #pid: number;

  constructor(calls: Calls, call: Call, { pid, message, timeout }: { pid: number; message: Ask; timeout: number }) {
    this.#calls = calls;
    this.#call = call;
    this.#pid = pid;
    this.data = message;
    this.timeout = timeout;
  }

  resolve(answer: Answer): void {
    this.#calls.answered(this.#call, this.#pid, answer);
  }

  reject(error: unknown): void {
    this.#calls.failed(this.#call, this.#pid, error);
  }
}

/** Milliseconds by which the messenger's own time limit comes after ours. */
const AFTER = 1_000;
/** Milliseconds that the messenger may take to say whether a process that has ended was reached. */
const VERDICT = 100;
/** Calls that may wait for a leader. */
const MOST = 10_000;

/** What one process asks of whoever leads, until it is answered: kept while nobody does, and sent again where nothing was done. */
export class Calls {
  readonly #name: string;
  readonly #post: Post;
  readonly #undelivered: (pid: number) => void;
  readonly #calls = new Set<Call>();
  readonly #deadlines = new TimeLimits<Call>((call) => this.#late(call));
  #leader: number | null = null;
  /** Who waits for the end of some call. */
  #ended: (() => void)[] = [];

  /** `undelivered`: who was taken for the leader is none, or not there. */
  constructor(name: string, post: Post, undelivered: (pid: number) => void) {
    this.#name = name;
    this.#post = post;
    this.#undelivered = undelivered;
  }

  add(message: Ask, given: Given): Promise<unknown> {
    if (this.#leader === null && this.#calls.size >= MOST) {
      return refused(new ClusterError('ERR_CLUSTER_LEADER_LOST', `"${this.#name}" has no leader, and ${MOST} calls wait for one`));
    }
    return new Promise((resolve, reject) => {
      const call: Call = {
        message, given, resolve, reject, pid: null, again: this.#leader === null, begun: performance.now(),
      };
      this.#calls.add(call);
      this.#deadlines.add(call, given.timeout);
      this.#send(call);
    });
  }

  /** From now on calls go there; what waits does at once. */
  go(pid: number): void {
    this.#leader = pid;
    for (const call of this.#calls) if (call.pid === null) this.#send(call);
  }

  /** A process has ended: what it had is lost, or is done again by the next one. What never left for it the messenger says. */
  lost(pid: number): void {
    if (this.#leader === pid) this.#leader = null;
    for (const call of [...this.#calls]) {
      if (call.pid !== pid) continue;
      if (!call.given.idempotent) {
        setTimeout(() => { if (call.pid === pid) this.#cutShort(call, pid); }, VERDICT);
        continue;
      }
      call.pid = null;
      this.#send(call);
    }
  }

  fail(error: unknown): void {
    for (const call of [...this.#calls]) if (this.#end(call)) call.reject(error);
  }

  /** Resolves when all that is under way now has ended; what is called meanwhile is not waited for. */
  async settled(): Promise<void> {
    const now = new Set(this.#calls);
    while ([...now].some((call) => this.#calls.has(call))) await new Promise<void>((resolve) => { this.#ended.push(resolve); });
  }

  #send(call: Call): void {
    const pid = this.#leader;
    if (pid === null) return;
    call.pid = pid;
    const message = this.#message(call);
    const left = call.again ? Math.max(1, Math.ceil(call.begun + call.given.timeout - performance.now())) : call.given.timeout;
    call.again = true;
    this.#post.call(pid, new OneAttempt(this, call, { pid, message, timeout: left + AFTER }));
  }

  /** What has come of an attempt; one that is made once more has others behind it. */
  answered(call: Call, pid: number, answer: Answer): void {
    if (!answer) this.#undone(call, pid);
    else if (this.#end(call)) call.resolve(answer[0]);
  }

  failed(call: Call, pid: number, error: unknown): void {
    const { code, message } = error as { code?: unknown; message?: unknown };
    if (code === 'ERR_CLUSTER_NO_RECEIVER' && String(message).includes(ACTION)) this.#undone(call, pid);
    else if (code === 'ERR_CLUSTER_CHANNEL_CLOSED' && message === goneWords(pid)) this.#cutShort(call, pid);
    else if (this.#end(call)) call.reject(told(error, this.#what(call)));
  }

  /** What has been said before, by this call or as one turned to the leader, is said as such. */
  #message({ message, again, given }: Call): Ask {
    if (message[0] !== 'publish' || !again || !given.idempotent) return message;
    return [message[0], message[1], { ...message[2], again }];
  }

  /** Nobody has done it: it goes to the next leader, which may be there already. */
  #undone(call: Call, pid: number): void {
    if (!this.#calls.has(call) || call.pid !== pid) return;
    call.pid = null;
    if (this.#leader !== pid) return this.#send(call);
    this.#leader = null;
    this.#undelivered(pid);
  }

  /** Its connection has ended, which is seen before the master tells of a process's end. */
  #cutShort(call: Call, pid: number): void {
    if (call.given.idempotent) this.#undone(call, pid);
    else if (this.#end(call)) call.reject(this.#isLost(call));
  }

  #late(call: Call): void {
    const where = call.pid === null ? ', which has no leader at the moment,' : '';
    if (!this.#end(call)) return;
    call.reject(new ClusterError('ERR_CLUSTER_REQUEST_TIMEOUT',
      `${this.#what(call)}${where} was not answered within ${call.given.timeout} ms`));
  }

  #isLost(call: Call): ClusterError {
    return new ClusterError('ERR_CLUSTER_LEADER_LOST', `${this.#what(call)}: its leader has ended, and may have done it or not`);
  }

  #what({ message }: Call): string {
    return `${this.#name}.${message[0] === 'call' ? message[2] : message[0]}`;
  }

  /** False: it has ended before. */
  #end(call: Call): boolean {
    if (!this.#calls.delete(call)) return false;
    this.#deadlines.delete(call, call.given.timeout);
    if (this.#ended.length > 0) for (const resolve of this.#ended.splice(0)) resolve();
    return true;
  }
}

/** The messenger's words for a connection that ended before an answer came; the real client's own error of that code has others. */
const goneWords = (pid: number): string => `process ${pid} is gone`;

/** Node's own, whatever a test puts in its place. */
export const later = setImmediate;

/**
 * Rejects a turn later: who calls again at once, however often that fails, keeps the process from nothing else, its end least of all
 * (test/integration/shared-retries.test.ts).
 */
export const refused = (error: unknown): Promise<never> => new Promise((_, reject) => { later(reject, error); });

/** It is no use to send it again. */
export const isUnsendable = (error: unknown): boolean =>
  ['ERR_CLUSTER_NOT_CLONEABLE', 'ERR_CLUSTER_MESSAGE_TOO_LONG'].includes(String((error as { code?: unknown } | undefined)?.code));

const told = (error: unknown, what: string): unknown => isUnsendable(error)
  ? new ClusterError((error as ClusterError).code, `${what}: ${(error as ClusterError).message}`, { cause: error }) : error;

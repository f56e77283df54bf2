import type { ChildProcess } from 'node:child_process';
import type { Faults } from '../../kit/faults.js';
import { createDebug } from '../../kit/logger.js';
import { hearArrival, hearInternal, isClusters, message, newConnection, sendHandle, word, type Handed } from '../../node/cluster.js';
import { HandlePipe, pipePair } from '../../node/handle-pipe.js';
import type { RawHandle } from '../../node/raw-sockets.js';

const debug = createDebug('hatchery:handover');

/** `taken`: the worker has it. `refused`: its server closes, or is full. `lost`: the worker is gone, and never read from it. */
export type Answer = 'taken' | 'refused' | 'lost';

interface Gift {
  key: string;
  note: unknown;
  client: RawHandle;
  answered(answer: Answer): void;
}

const ANSWERS: ReadonlySet<string> = new Set([word.taken, word.refused]);

/** Counts down, so that it never meets the numbers that node:cluster gives its own messages. */
let sequence = 0;

/**
 * How connections reach one worker. The first go as node:cluster sends them, over Node's channel: a message, Node's
 * acknowledgement of the handle, and the cluster's of the connection, all in JSON. Then a pipe of their own is there, with
 * one message and one byte in answer, which takes a sixth off the processor time of a connection and its answer (`npm run bench
 * -- throughput`) and keeps them out of the application's messages (docs/decisions/handover-pipe.md). Where there can be none, it
 * stays as it was.
 */
export class Handover {
  readonly #process: ChildProcess;
  readonly #faults: Faults;
  readonly #misused: (reason: string) => void;
  /** Sent over Node's channel and not answered. */
  readonly #sent = new Map<number, Gift>();
  /** For the pipe, the first of them under way. */
  readonly #queue: Gift[] = [];
  #pipe: HandlePipe | null = null;
  /** The worker's end of it, until that has it: it never says so when it dies before. */
  #theirs: RawHandle | null = null;
  #piped: 'no' | 'asked' | 'yes' = 'no';
  /** What of ours has left over Node's channel and may not have arrived: there is one handle on the way at a time. */
  #onWay: (() => void) | null = null;
  #ended = false;
  #last = { key: '', text: JSON.stringify([''] satisfies Handed) };

  /** `misused`: it says what it cannot mean. */
  constructor(process_: ChildProcess, faults: Faults, misused: (reason: string) => void) {
    this.#process = process_;
    this.#faults = faults;
    this.#misused = misused;
    hearInternal(process_, faults.guard('hand-over', (said) => {
      if (isClusters(said) && said.ack !== undefined && said.ack < 0) this.#settle(said.ack, said.accepted === true ? 'taken' : 'refused');
    }));
    hearArrival(process_, faults.guard('hand-over', (whole) => {
      const lost = this.#onWay;
      this.#onWay = null;
      if (!whole) lost?.();
    }));
  }

  /** Hands a connection to the worker's listener `key`; `note` goes along. The caller keeps it until it is answered, and closes it. */
  give(gift: Gift): void {
    if (this.#ended) return gift.answered('lost');
    if (this.#piped === 'yes') {
      this.#queue.push(gift);
      if (this.#queue.length === 1) this.#send();
      return;
    }
    if (!this.#process.connected) return gift.answered('lost');
    const number = --sequence;
    const { key, note, client } = gift;
    this.#sent.set(number, gift);
    sendHandle(this.#process, newConnection(key, number, note), client, this.#faults.guard('hand-over', (error: Error | null) => {
      if (error) this.#settle(number, 'lost');
      else this.#onWay = () => this.#settle(number, 'refused');
    }));
    if (this.#piped === 'no') this.#faults.watch('hand-over', this.#ask());
  }

  /** What Node's channel was to bring and has not been answered never will be. */
  disconnected(): void {
    for (const number of [...this.#sent.keys()]) this.#settle(number, 'lost');
  }

  /** The worker is gone. */
  end(): void {
    this.#ended = true;
    this.#pipe?.close();
    this.#closeTheirs();
    this.disconnected();
    for (const { answered } of this.#queue.splice(0)) answered('lost');
  }

  async #ask(): Promise<void> {
    this.#piped = 'asked';
    const pair = await pipePair();
    if (!pair) return debug('pid %d: connections stay on Node\'s channel', this.#process.pid);
    if (this.#ended || !this.#process.connected) {
      pair.ours.close();
      pair.theirs.close();
      return;
    }
    this.#pipe = new HandlePipe(pair.ours,
      this.#faults.guard('hand-over', (text: string, handle: RawHandle | null) => this.#heard(text, handle)),
      // Before the worker has said that it has its end, that may be lost on the way.
      this.#faults.guard('hand-over', () => { if (this.#piped === 'yes') this.end(); else this.#askAgain(); }));
    this.#theirs = pair.theirs;
    sendHandle(this.#process, { cmd: message.pipe }, pair.theirs, (error) => {
      this.#closeTheirs();
      if (!error) this.#onWay = () => this.#askAgain();
    });
  }

  /** With the next connection. */
  #askAgain(): void {
    this.#pipe?.close();
    this.#pipe = null;
    this.#piped = 'no';
  }

  #closeTheirs(): void {
    this.#theirs?.close();
    this.#theirs = null;
  }

  #heard(text: string, handle: RawHandle | null): void {
    handle?.close();
    if (this.#ended) return;
    if (text === word.open && this.#piped === 'asked' && !handle) {
      debug('pid %d: connections have a pipe of their own', this.#process.pid);
      this.#piped = 'yes';
      return;
    }
    if (handle || !ANSWERS.has(text) || this.#queue.length === 0) {
      this.end();
      return this.#misused('what it says of its connections is no answer');
    }
    const gift = this.#queue.shift();
    if (this.#queue.length > 0) this.#send();
    gift?.answered(text === word.taken ? 'taken' : 'refused');
  }

  #send(): void {
    const { key, note, client } = this.#queue[0] as Gift;
    const text = note === undefined ? this.#textOf(key) : JSON.stringify([key, note] satisfies Handed);
    if (!this.#pipe?.send(text, client)) this.end();
  }

  /** Nearly all that come to a worker come to the same address. */
  #textOf(key: string): string {
    if (this.#last.key !== key) this.#last = { key, text: JSON.stringify([key] satisfies Handed) };
    return this.#last.text;
  }

  #settle(number: number, answer: Answer): void {
    const gift = this.#sent.get(number);
    if (!gift) return;
    this.#sent.delete(number);
    gift.answered(answer);
  }
}

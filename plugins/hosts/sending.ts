import { atMost, messageOf, type Envelope, type Logger } from '../../lib/runtime.js';
import type { LinkClient } from './link.js';
import { packLetter } from './packing.js';

/** Messages, and characters of them, that wait in this process while Redis is away; beyond that the oldest go. */
const MOST = 1_000;
const MOST_LENGTH = 8 * 1024 * 1024;
/** Of one call. */
const AT_ONCE = 250;
const LENGTH_AT_ONCE = 1024 * 1024;
/** Milliseconds after a failure, unless Redis is there again before. */
const PAUSE = 500;
/** Milliseconds for what waits as the process closes. */
const LAST = 1_000;

export interface SendingNeeds {
  /** Of this host, for people. */
  host: string;
  /** What this process is: `app` or `agent`. */
  group: string;
  client: Promise<Pick<LinkClient, 'send'>>;
  logger: Pick<Logger, 'warn'>;
}

/** Broadcasts of one process, on their way to other hosts. */
export class Sending {
  readonly #needs: SendingNeeds;
  readonly #waiting = new Set<string>();
  #length = 0;
  #dropped = 0;
  #sending: Promise<void> | null = null;
  #wake = () => {};
  #closing = false;

  constructor(needs: SendingNeeds) {
    this.#needs = needs;
  }

  /** False: others should wait. @throws what cannot be sent */
  readonly carry = ({ action, data, id, meta, from = this.#needs.group }: Envelope): boolean => {
    const text = packLetter({ action, data, id, meta, from, host: this.#needs.host });
    this.#waiting.add(text);
    this.#length += text.length;
    while (this.#waiting.size > MOST || this.#length > MOST_LENGTH) this.#dropOldest();
    this.#sending ??= this.#send().catch(() => {}).finally(() => { this.#sending = null; });
    return this.#waiting.size < MOST / 2 && this.#length < MOST_LENGTH / 2;
  };

  /** Redis is there again. */
  up(): void {
    this.#wake();
  }

  /** What waits is sent, if that can be done soon. */
  async close(): Promise<void> {
    this.#closing = true;
    const timer = setTimeout(() => this.#drop([...this.#waiting]), LAST);
    this.#wake();
    await atMost(2 * LAST, this.#sending ?? Promise.resolve());
    clearTimeout(timer);
    this.#tellDropped();
  }

  async #send(): Promise<void> {
    const client = await this.#needs.client;
    while (this.#waiting.size > 0) {
      const batch = this.#batch();
      try {
        await client.send(batch);
        this.#forget(batch);
        this.#tellDropped();
      } catch (error) {
        const { code } = error as { code?: string };
        // Redis itself will not have it.
        if (typeof code !== 'string' || !code.startsWith('ERR_CLUSTER_') || this.#closing) {
          this.#needs.logger.warn(`messages for other hosts cannot be sent: ${messageOf(error)}`);
          this.#drop(batch);
        } else {
          await this.#pause();
        }
      }
    }
  }

  #batch(): string[] {
    const batch: string[] = [];
    let length = 0;
    for (const text of this.#waiting) {
      if (batch.length === AT_ONCE || (batch.length > 0 && length + text.length > LENGTH_AT_ONCE)) break;
      batch.push(text);
      length += text.length;
    }
    return batch;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, PAUSE).unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #forget(batch: readonly string[]): void {
    for (const text of batch) if (this.#waiting.delete(text)) this.#length -= text.length;
  }

  #drop(batch: readonly string[]): void {
    this.#dropped += batch.length;
    this.#forget(batch);
  }

  #dropOldest(): void {
    const [oldest] = this.#waiting;
    if (oldest !== undefined) this.#drop([oldest]);
  }

  #tellDropped(): void {
    if (this.#dropped > 0) this.#needs.logger.warn(`messages for other hosts that were dropped, as Redis was away: ${this.#dropped}`);
    this.#dropped = 0;
  }
}

import { messageOf, type Envelope, type Logger } from '../../lib/runtime.js';
import type { LinkClient } from './link.js';
import { unpackLetter } from './packing.js';
import { isBefore } from './recent.js';

/** Ids of messages that have come: one that was sent twice, as the first answer was lost, is heard once. */
const KNOWN = 10_000;
/** Milliseconds after a failure. */
const PAUSE = 500;

export interface ReceivingNeeds {
  client: Promise<Pick<LinkClient, 'read'>>;
  deliver(envelope: Envelope): void;
  logger: Pick<Logger, 'debug'>;
}

/**
 * Broadcasts of other hosts for one process. It is told how far they go, and reads from where it has got to itself: what it hears
 * does not depend on who reads for this host, and when that changes.
 */
export class Receiving {
  readonly #needs: ReceivingNeeds;
  readonly #known = new Set<string>();
  /** The last one that was read; null: none yet, and what was sent since this process has begun is still to come. */
  #position: string | null = null;
  #head: string | null = null;
  #reading: Promise<void> | null = null;
  #closed = false;

  constructor(needs: ReceivingNeeds) {
    this.#needs = needs;
  }

  /** So far they go now; before where they have gone, where Redis has lost some. */
  head(head: string): void {
    this.#head = head;
    if (this.#position !== null && isBefore(head, this.#position)) this.#position = head;
    this.#reading ??= this.#read().finally(() => { this.#reading = null; });
  }

  close(): void {
    this.#closed = true;
  }

  get #isBehind(): boolean {
    return !this.#closed && (this.#position === null || isBefore(this.#position, this.#head as string));
  }

  async #read(): Promise<void> {
    const client = await this.#needs.client;
    while (this.#isBehind) {
      try {
        const before = this.#position;
        const { next, messages } = await client.read(before, Math.round(performance.now()));
        this.#position = next;
        for (const text of messages) this.#hear(text);
        if (before === null || isBefore(before, next)) continue;
      } catch (error) {
        this.#needs.logger.debug(`messages of other hosts are not read: ${messageOf(error)}`);
      }
      await new Promise((resolve) => { setTimeout(resolve, PAUSE).unref(); });
    }
  }

  #hear(text: string): void {
    try {
      const { action, data, id, meta, from, host } = unpackLetter(text);
      if (this.#isKnown(id)) return;
      this.#needs.deliver({ action, data, id, from, to: 'all', meta: { host, ...meta } });
    } catch (error) {
      this.#needs.logger.debug(`a message of another host is none: ${messageOf(error)}`);
    }
  }

  #isKnown(id: string): boolean {
    if (this.#known.has(id)) return true;
    this.#known.add(id);
    if (this.#known.size > KNOWN) this.#known.delete(this.#known.values().next().value as string);
    return false;
  }
}

import { createRequire } from 'node:module';
import path from 'node:path';
import { ClusterError, inTime, messageOf } from '../../lib/runtime.js';
import { movedTo, redisPlace, type RedisNode, type Where } from './redis-url.js';

/** What is used of node-redis's client. */
export interface RedisClient {
  connect(): Promise<unknown>;
  sendCommand(args: string[]): Promise<unknown>;
  on(event: 'error' | 'end', listener: (error?: Error) => void): unknown;
  destroy(): void;
}

/**
 * Makes clients of the application's own `redis`. A client never connects again by itself and keeps nothing for later: what is
 * sent twice, or late, is for us to say.
 */
export function clientsOf(dir: string, where: Where, connectTimeout: number): (node?: RedisNode | null) => RedisClient {
  return (node) => {
    // Here, as it takes its time and its memory, and most processes never connect.
    const { createClient } = createRequire(path.join(dir, 'noop.js'))('redis') as { createClient(options: object): RedisClient };
    const { url, socket } = redisPlace(where, process.env, node);
    const options = { connectTimeout, reconnectStrategy: false, ...socket };
    return createClient({ ...(url === undefined ? {} : { url }), socket: options, RESP: 2, disableOfflineQueue: true });
  };
}

/** Milliseconds between two attempts to connect: the first time, and at most. */
const PAUSE = 100;
const LONGEST_PAUSE = 2_000;

/** Answers that another connection may not get: of a server that is not in charge, or not yet. */
const NOT_THIS_ONE = /^(?:READONLY|LOADING|MASTERDOWN|NOAUTH|WRONGPASS|MOVED|ASK|TRYAGAIN|CLUSTERDOWN) /;
/** Redis's own answer, by which the connection is as good as before. */
const ANSWER = /^[A-Z]{3,} /;

export interface ConnectionNeeds {
  /** `node`: the one of a cluster that has the keys, where another one has said so. */
  make(node: RedisNode | null): RedisClient;
  /** Asked first, of each new connection: who cannot answer it is not the one. */
  probe?: string[];
  /** Milliseconds for an answer: who does not give one in that time is as good as gone. */
  patience: number;
  /** Null: it is there; else why it is not. Each time that it changes, and once for all attempts that fail. */
  changed(reason: string | null): void;
}

const unreachable = (why: string) => new ClusterError('ERR_CLUSTER_HOSTS', `Redis cannot be reached: ${why}`);

/** One connection, made again and again until it is closed. */
export class Connection {
  readonly #needs: ConnectionNeeds;
  #client: RedisClient | null = null;
  #node: RedisNode | null = null;
  #reason = 'not connected yet';
  #told: string | null | undefined;
  #lose: (reason: string) => void = () => {};
  #closed = false;
  #waiting: (() => void)[] = [];
  #wake = () => {};

  constructor(needs: ConnectionNeeds) {
    this.#needs = needs;
    void this.#run();
  }

  /** Resolves when it is there, or closed. */
  async up(): Promise<void> {
    while (!this.#client && !this.#closed) await new Promise<void>((resolve) => { this.#waiting.push(resolve); });
  }

  /** Rejects with ERR_CLUSTER_HOSTS where there is no answer within `limit` ms, which ends the connection; or with Redis's error. */
  async command(args: string[], limit = this.#needs.patience): Promise<unknown> {
    const client = this.#client;
    if (!client) throw unreachable(this.#reason);
    try {
      return await inTime(limit, () => client.sendCommand(args), () => new Error(`no answer within ${limit} ms`));
    } catch (error) {
      const reason = messageOf(error);
      if (ANSWER.test(reason) && !NOT_THIS_ONE.test(reason)) throw error;
      this.#node = movedTo(reason) ?? this.#node;
      if (this.#client === client) this.#lose(reason);
      throw unreachable(reason);
    }
  }

  close(): void {
    this.#closed = true;
    this.#lose('closed');
    this.#wake();
    for (const go of this.#waiting.splice(0)) go();
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#closed; failures++) {
      if (await this.#session()) failures = 0;
      const pause = Math.min(PAUSE * 2 ** failures, LONGEST_PAUSE) * (0.5 + Math.random() / 2);
      if (!this.#closed) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          setTimeout(resolve, pause).unref();
        });
      }
    }
  }

  /** From one attempt to connect to the end of what came of it; whether it was there. Never rejects. */
  async #session(): Promise<boolean> {
    const { make, patience } = this.#needs;
    let client: RedisClient | null = null;
    let wasUp = false;
    let isElsewhere = false;
    try {
      client = make(this.#node);
      const lost = new Promise<string>((resolve) => { this.#lose = resolve; });
      client.on('error', (error) => this.#lose(messageOf(error)));
      client.on('end', () => this.#lose('the connection was ended'));
      await inTime(patience, () => this.#open(client!), () => new Error(`no connection within ${patience} ms`));
      if (this.#closed) return true;
      wasUp = true;
      this.#client = client;
      this.#tell(null);
      for (const go of this.#waiting.splice(0)) go();
      this.#reason = await lost;
    } catch (error) {
      this.#reason = messageOf(error) || (error as { code?: string }).code || 'no reason given';
      const node = movedTo(this.#reason);
      isElsewhere = node !== null && JSON.stringify(node) !== JSON.stringify(this.#node);
      // The one that it was to be is away, perhaps for good: the next word comes from where the URL leads.
      this.#node = node;
    } finally {
      this.#client = null;
      destroy(client);
      if (!this.#closed && !isElsewhere) this.#tell(this.#reason);
    }
    return wasUp;
  }

  async #open(client: RedisClient): Promise<void> {
    await client.connect();
    if (this.#needs.probe) await client.sendCommand(this.#needs.probe);
  }

  #tell(reason: string | null): void {
    const isNews = this.#told === undefined || (this.#told === null) !== (reason === null);
    this.#told = reason;
    if (isNews) this.#needs.changed(reason);
  }
}

/** What was never connected, or has ended, throws. */
function destroy(client: RedisClient | null): void {
  try {
    client?.destroy();
  } catch {
    // It was none any more.
  }
}

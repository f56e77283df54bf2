import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Scope } from './cluster.js';
import { Lost, RawConnection, requestHead, Tally, type RawResponse, type Target } from './raw-client.js';
import { Http2Client, readEvents, RetrySafe } from './raw-client-streams.js';

/** How many clients of each kind; the fixture `drain-app` answers all of them. */
export interface Mix {
  keepAlive?: number;
  perConnection?: number;
  pipelined?: number;
  slow?: number;
  upload?: number;
  stream?: number;
  https?: number;
  http2?: number;
  sse?: number;
}

export interface LoadOptions {
  http: Target;
  https?: Target;
  http2?: Target;
  /** Deadline of one answer in ms. Default 15 000. */
  deadline?: number;
  /** Length of a slow answer in ms. Default 3 000. */
  slow?: number;
  /** Pause between two requests of one client in ms, so that a test does not starve what it tests. Default 0. */
  pause?: number;
}

export type Kind = keyof Mix;

/** Clients that go on until `stop`; each kind counts for itself. */
export class Load {
  readonly tallies = {} as Record<Kind, Tally>;
  readonly #stopping = new AbortController();
  readonly #clients: Promise<void>[] = [];
  readonly #options: Required<Pick<LoadOptions, 'deadline' | 'slow' | 'pause'>> & LoadOptions;

  /** With a scope it ends with the test at the latest. */
  constructor(mix: Mix, options: LoadOptions, scope?: Scope) {
    scope?.after(() => this.#stopping.abort());
    this.#options = { deadline: 15_000, slow: 3_000, pause: 0, ...options };
    for (const kind of Object.keys(mix) as Kind[]) {
      const tally = this.tallies[kind] = new Tally();
      for (let n = 0; n < (mix[kind] ?? 0); n++) this.#clients.push(this.#loop(kind, tally));
    }
  }

  get answered(): number {
    return Object.values(this.tallies).reduce((sum, tally) => sum + tally.ok, 0);
  }

  get lost(): number {
    return Object.values(this.tallies).reduce((sum, tally) => sum + tally.losses, 0);
  }

  /** Lets every request under way come to its end, then resolves. */
  async stop(): Promise<this> {
    this.#stopping.abort();
    await Promise.all(this.#clients);
    return this;
  }

  /** One line a kind. */
  report(): string {
    return (Object.entries(this.tallies) as [Kind, Tally][]).map(([kind, tally]) =>
      `${kind.padEnd(14)} ok ${String(tally.ok).padStart(7)}  lost ${tally.losses}${tally.losses ? ` ${JSON.stringify(tally.lost)}` : ''}`
      + `${tally.retrySafe ? `  retry-safe ${tally.retrySafe}` : ''}  longest ${Math.round(tally.longest)} ms`
      + `${tally.samples.map((sample) => `\n    ${sample}`).join('')}`).join('\n');
  }

  async #loop(kind: Kind, tally: Tally): Promise<void> {
    const client = this.#client(kind, tally);
    while (!this.#stopping.signal.aborted) {
      const started = performance.now();
      try {
        const answers = await client.next();
        const took = performance.now() - started;
        for (let n = 0; n < answers; n++) tally.answered(took);
      } catch (error) {
        if (error instanceof RetrySafe) tally.retrySafe++;
        else tally.lose(error);
        // A client that is refused must not spin.
        await delay(20);
      }
      if (this.#options.pause > 0) await delay(this.#options.pause);
    }
    client.close();
  }

  #client(kind: Kind, tally: Tally): { next(): Promise<number>; close(): void } {
    const { http, https = http, http2 = http, deadline, slow } = this.#options;
    const none = () => {};
    switch (kind) {
      case 'keepAlive': return keepAlive(http, tally, deadline, 1);
      case 'https': return keepAlive(https, tally, deadline, 1);
      case 'pipelined': return keepAlive(http, tally, deadline, 8);
      case 'perConnection': return { close: none, next: () => onOwn(http, tally, 'GET', unique(), '', deadline) };
      case 'slow': return { close: none, next: () => onOwn(http, tally, 'GET', unique(`/slow?ms=${slow}&`), '', deadline + slow) };
      case 'stream': return { close: none, next: () => onOwn(http, tally, 'GET', '/stream?chunks=40&ms=10', '', deadline, isWholeStream) };
      case 'upload': return uploads(http, tally, deadline);
      case 'sse': return { close: none, next: async () => {
        tally.connections++;
        return await readEvents(http, '/sse', this.#stopping.signal) >= 0 ? 1 : 0;
      } };
      case 'http2': {
        const client = new Http2Client(http2, tally);
        return { close: () => client.close(), next: async () => {
          const path = unique();
          same(path, await client.get(path, deadline));
          return 1;
        } };
      }
    }
  }
}

let counter = 0;
/** A path that no other request has; the app answers with it, so an answer to somebody else is found out. */
const unique = (base = '/echo?') => `${base}id=${++counter}`;

function same(expected: string, body: Buffer): void {
  if (body.toString() !== expected) throw new Lost('wrong', `asked ${expected}, got ${body.subarray(0, 200).toString('latin1')}`);
}

function check(path: string, { status, body }: RawResponse): void {
  if (status !== 200) throw new Lost('wrong', `status ${status}: ${body.subarray(0, 200).toString('latin1')}`);
  same(path, body);
}

function keepAlive(target: Target, tally: Tally, deadline: number, depth: number) {
  let connection: RawConnection | null = null;
  return {
    close: () => connection?.destroy(),
    async next(): Promise<number> {
      if (!connection?.usable) {
        connection?.destroy();
        connection = new RawConnection(target);
        tally.connections++;
      }
      const paths = Array.from({ length: depth }, () => unique());
      const heads = paths.map((path) => requestHead('GET', path)).join('');
      const answers = await Promise.allSettled(connection.send(heads, paths.map(() => 'GET'), deadline));
      let good = 0;
      let failure: unknown;
      for (const [at, answer] of answers.entries()) {
        try {
          if (answer.status === 'rejected') throw answer.reason;
          check(paths[at]!, answer.value);
          good++;
        } catch (error) {
          if (failure) tally.lose(failure);
          failure = error;
        }
      }
      if (failure) {
        for (let n = 0; n < good; n++) tally.answered(0);
        throw failure;
      }
      return good;
    },
  };
}

async function onOwn(
  target: Target, tally: Tally, method: string, path: string, body: Buffer | string, deadline: number,
  verify: (path: string, response: RawResponse) => void = check,
): Promise<number> {
  const connection = new RawConnection(target);
  tally.connections++;
  const head = requestHead(method, path, { Connection: 'close', ...(body.length ? { 'Content-Length': body.length } : {}) });
  try {
    verify(path, await connection.send(body.length ? Buffer.concat([Buffer.from(head), Buffer.from(body)]) : head, [method], deadline)[0]!);
    return 1;
  } finally {
    connection.destroy();
  }
}

/** 1 MiB a time; the app answers with length and hash. Every second one waits for nothing and keeps its connection. */
function uploads(target: Target, tally: Tally, deadline: number) {
  const body = randomBytes(1024 * 1024);
  const expected = `${body.length} ${createHash('sha1').update(body).digest('hex')}`;
  const verify = (_: string, response: RawResponse) => check(expected, response);
  return { close: () => {}, next: () => onOwn(target, tally, 'POST', '/upload', body, deadline, verify) };
}

function isWholeStream(_: string, { status, body }: RawResponse): void {
  const expected = Array.from({ length: 40 }, (__, at) => `chunk ${at}\n`).join('');
  if (status !== 200 || body.toString() !== expected) throw new Lost('wrong', `stream of ${body.length} bytes, status ${status}`);
}

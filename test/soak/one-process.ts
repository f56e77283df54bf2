import assert from 'node:assert/strict';
import type * as Grpc from '@grpc/grpc-js';
import type { Client, ClientDuplexStream } from '@grpc/grpc-js';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { fixture, type Scope } from '../helpers/cluster.js';
import { Load, type Mix } from '../helpers/load.js';
import { heldPort, OneProcess } from '../helpers/one-process.js';

const asking: Mix = { keepAlive: 4, perConnection: 4, pipelined: 2, slow: 4 };

/** What clients ask of each app of the fixture. */
export const MIXES: Readonly<Record<string, Mix>> = {
  http: { ...asking, upload: 2, stream: 2, https: 2, http2: 4 },
  express: asking,
  fastify: asking,
  koa: asking,
  hono: asking,
  nest: asking,
  http2: { http2: 6 },
  ws: { keepAlive: 2, perConnection: 2, slow: 2 },
  grpc: {},
};

/** A process after the other serves a port under load, each ended by a signal once its successor listens; nothing may be lost. */
export async function oneAfterTheOther(
  scope: Scope, { app, times, slow = 700 }: { app: string; times: number; slow?: number },
): Promise<string> {
  const held = app === 'http' ? [heldPort(scope), heldPort(scope), heldPort(scope)] : [heldPort(scope)];
  const [http, https, http2] = held.map(({ port }) => port);
  const fds = held.map(({ fd }) => fd);
  const env: Record<string, string> = app === 'http' ? { HTTPS_PORT: 'fd:4', HTTP2_PORT: 'fd:5' } : {};
  const start = () => OneProcess.start(scope, app, { fds, env });
  let current = await start();
  const load = new Load(MIXES[app]!, {
    http: { port: http! }, https: { port: https ?? 0, secure: true }, http2: http2 ? { port: http2, secure: true } : { port: http! },
    slow, pause: 2,
  }, scope);
  const sockets = app === 'ws' ? new Sockets(http!, 20) : null;
  const calls = app === 'grpc' ? await Calls.begin(http!, 8) : null;
  const answered = () => load.answered + (calls?.answered ?? 0);
  for (let n = 0; n < times; n++) {
    const enough = answered() + 200;
    const next = await start();
    const signal = n % 2 === 0 ? 'SIGTERM' : 'SIGINT';
    const { code } = await current.stop(signal);
    assert.equal(code, 0, `${signal} number ${n + 1} of ${app}\n${current.output}\n${load.report()}`);
    assert.match(current.output, /^onClose$/m);
    current = next;
    while (answered() < enough) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await load.stop();
  const failed = await calls?.end();
  const closed = sockets?.end();
  assert.equal((await current.stop()).code, 0, current.output);
  const report = `${app}: ${times} times, ${answered()} requests${closed ? `, sockets ${closed}` : ''}\n${load.report()}`;
  assert.equal(load.lost, 0, report);
  if (failed) assert.deepEqual(failed, {}, report);
  if (closed) assert.match(closed, /^closed with 1001: \d+$/, report);
  return report;
}

type Call = (...args: unknown[]) => ClientDuplexStream<Buffer, Buffer>;

/** A stock gRPC client's calls of each kind, one after the other: single ones, streams of the server's, and of both. */
class Calls {
  answered = 0;
  readonly #failed: Record<string, number> = {};
  readonly #client: Client & { ask: Call; count: Call; talk: Call };
  readonly #loops: Promise<void>[];
  #ended = false;

  private constructor({ credentials, makeGenericClientConstructor }: typeof Grpc, service: never, port: number, count: number) {
    const Echo = makeGenericClientConstructor(service, 'Echo');
    this.#client = new Echo(`127.0.0.1:${port}`, credentials.createInsecure()) as never;
    const kinds = [() => this.#ask(3), () => this.#ask(700), () => this.#count(), () => this.#talk()];
    this.#loops = kinds.flatMap((kind) => Array.from({ length: count / kinds.length }, () => this.#loop(kind)));
  }

  static async begin(port: number, count: number): Promise<Calls> {
    const { service } = await import(fixture('one-process/grpc.mjs')) as { service: never };
    return new Calls(await import('@grpc/grpc-js'), service, port, count);
  }

  /** What went wrong, and how often. */
  async end(): Promise<Record<string, number>> {
    this.#ended = true;
    await Promise.all(this.#loops);
    this.#client.close();
    return this.#failed;
  }

  async #loop(kind: () => Promise<void>): Promise<void> {
    while (!this.#ended) {
      await kind().then(() => { this.answered++; }, ({ message }: Error) => { this.#failed[message] = (this.#failed[message] ?? 0) + 1; });
    }
  }

  #ask(bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.ask(Buffer.alloc(bytes), (error: Error | null, answer?: Buffer) => {
        if (error || answer?.length !== bytes) reject(error ?? new Error(`${answer?.length} bytes for ${bytes}`));
        else resolve();
      });
    });
  }

  async #count(): Promise<void> {
    const numbers: string[] = [];
    for await (const bytes of this.#client.count(Buffer.alloc(0))) numbers.push(String(bytes));
    if (numbers.length !== 20) throw new Error(`a stream of 20 ended after ${numbers.length}`);
  }

  async #talk(): Promise<void> {
    const call = this.#client.talk();
    let heard = 0;
    call.write(Buffer.from('a'));
    for await (const { length } of call) {
      await delay(50);
      heard += length;
      if (heard < 10) call.write(Buffer.from('a'));
      else call.end();
    }
    if (heard !== 10) throw new Error(`a talk of 10 ended after ${heard}`);
  }
}

/** WebSocket clients that come back when they are told to go. */
class Sockets {
  readonly #codes: Record<string, number> = {};
  readonly #open = new Set<WebSocket>();
  #ended = false;

  constructor(port: number, count: number) {
    for (let n = 0; n < count; n++) this.#connect(port);
  }

  #connect(port: number): void {
    if (this.#ended) return;
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    this.#open.add(socket);
    const timer = setInterval(() => { if (socket.readyState === WebSocket.OPEN) socket.send('hello'); }, 20);
    socket.on('error', () => {}).on('close', (code) => {
      clearInterval(timer);
      this.#open.delete(socket);
      if (this.#ended) return;
      this.#codes[code] = (this.#codes[code] ?? 0) + 1;
      this.#connect(port);
    });
  }

  /** How they were closed. */
  end(): string {
    this.#ended = true;
    for (const socket of this.#open) socket.terminate();
    return Object.entries(this.#codes).map(([code, count]) => `closed with ${code}: ${count}`).join(', ');
  }
}

/** The same for each app. */
export async function oneProcess(scope: Scope, { times }: { times: number }): Promise<string> {
  const reports: string[] = [];
  for (const app of Object.keys(MIXES)) reports.push(await oneAfterTheOther(scope, { app, times }));
  return reports.join('\n');
}

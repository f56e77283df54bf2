import assert from 'node:assert/strict';
import { WebSocket } from 'ws';
import type { Scope } from '../helpers/cluster.js';
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
  for (let n = 0; n < times; n++) {
    const enough = load.answered + 200;
    const next = await start();
    const signal = n % 2 === 0 ? 'SIGTERM' : 'SIGINT';
    const { code } = await current.stop(signal);
    assert.equal(code, 0, `${signal} number ${n + 1} of ${app}\n${current.output}\n${load.report()}`);
    assert.match(current.output, /^onClose$/m);
    current = next;
    while (load.answered < enough) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await load.stop();
  const closed = sockets?.end();
  assert.equal((await current.stop()).code, 0, current.output);
  const report = `${app}: ${times} times, ${load.answered} requests${closed ? `, sockets ${closed}` : ''}\n${load.report()}`;
  assert.equal(load.lost, 0, report);
  if (closed) assert.match(closed, /^closed with 1001: \d+$/, report);
  return report;
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

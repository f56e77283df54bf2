import { chmodSync, rmSync, rmdirSync } from 'node:fs';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { listen, type Runtime } from '../../lib/runtime.js';
import { takeHop } from './hop.js';

/** Milliseconds between two looks at what is open. */
const LOOK = 50;
/** Milliseconds that an ended tunnel gets to say goodbye. */
const GOODBYE = 1_000;
/** Bytes. The client's own server has judged the head already. */
const MAX_HEADER = 1024 * 1024;

/**
 * Takes what other workers send on to this one, over a unix socket that only this user can open, and gives it to the app's
 * own server as if the client had come here.
 */
export class PrivateServer {
  received = 0;
  readonly #server = http.createServer({ maxHeaderSize: MAX_HEADER, requireHostHeader: false, keepAliveTimeout: 0, requestTimeout: 0 });
  readonly #servers: ReadonlyMap<string, Server>;
  readonly #taken: (request: IncomingMessage, from: number) => void;
  readonly #answers = new Set<ServerResponse>();
  readonly #tunnels = new Set<Duplex>();
  readonly #path: string;
  readonly #channel: Runtime<'worker'>['channel'];

  /** `servers`: the app's, by port or path. `taken`: a request is about to reach one of them; `from`: the process that sent it on. */
  constructor(
    { channel }: Runtime<'worker'>, file: string, servers: ReadonlyMap<string, Server>,
    taken: (request: IncomingMessage, from: number) => void,
  ) {
    this.#path = file;
    this.#channel = channel;
    this.#servers = servers;
    this.#taken = taken;
    const server = this.#server;
    server.headersTimeout = 0;
    server.maxHeadersCount = 0;
    server.on('request', (request, response) => this.#answer(request, response));
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => this.#answer(request, response));
    for (const event of ['upgrade', 'connect'] as const) {
      server.on(event, (request: IncomingMessage, socket: Duplex, head: Buffer) => {
        const target = this.#target(request);
        if (!target) return socket.destroy();
        this.#tunnels.add(socket);
        socket.once('close', () => this.#tunnels.delete(socket));
        if (!target.emit(event, request, socket, head)) socket.destroy();
      });
    }
  }

  async listen(): Promise<void> {
    await listen(this.#server, { path: this.#path, exclusive: true, internal: true } as object);
    chmodSync(this.#path, 0o600);
    process.once('exit', () => this.#remove());
  }

  /**
   * Waits for what is under way, and ends what does not end by itself. `released` resolves when the other workers have
   * nothing on its way here. `deadline`: performance.now().
   */
  async close(released: Promise<unknown>, deadline: number, upgradeTimeout: number): Promise<void> {
    const tunnelsUntil = Math.min(performance.now() + upgradeTimeout, deadline - GOODBYE);
    let quiet = false;
    void released.then(() => { quiet = true; });
    for (;;) {
      const now = performance.now();
      for (const answer of this.#answers) if (isEventStream(answer)) answer.end();
      if (now >= tunnelsUntil) for (const socket of this.#tunnels) socket.end();
      if (now >= tunnelsUntil + GOODBYE) for (const socket of this.#tunnels) socket.destroy();
      if ((quiet && this.#answers.size + this.#tunnels.size === 0) || now >= deadline) break;
      await new Promise((resolve) => setTimeout(resolve, LOOK));
    }
    this.#server.close();
    this.#server.closeAllConnections();
    for (const socket of this.#tunnels) socket.destroy();
    this.#remove();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const target = this.#target(request);
    if (!target) {
      response.writeHead(502, { 'Content-Type': 'text/plain' });
      response.end('this worker has no such server\n');
      return;
    }
    this.#answers.add(response);
    response.once('close', () => this.#answers.delete(response));
    if (request.headers.expect?.toLowerCase() !== '100-continue') target.emit('request', request, response);
    else if (!target.emit('checkContinue', request, response)) {
      response.writeContinue();
      target.emit('request', request, response);
    }
  }

  #target(request: IncomingMessage): Server | undefined {
    const hop = takeHop(request);
    const target = hop && this.#servers.get(hop.server);
    if (!target) return undefined;
    this.received++;
    this.#taken(request, hop.from);
    return target;
  }

  #remove(): void {
    rmSync(this.#path, { force: true });
    if (this.#channel.open) return;
    // The master was killed: the last one turns off the light.
    try {
      rmdirSync(path.dirname(this.#path));
    } catch {
      // Others are still in it.
    }
  }
}

/** As an app knows its closing: what it writes to an event stream after its end is lost and no error. */
function isEventStream(response: ServerResponse): boolean {
  return !response.writableEnded && String(response.getHeader('content-type') ?? '').startsWith('text/event-stream');
}

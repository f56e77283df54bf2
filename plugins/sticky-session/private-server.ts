import { chmodSync, lstatSync, rmSync, rmdirSync } from 'node:fs';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import net, { type Server, type Socket } from 'node:net';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { listen, type Runtime } from '../../lib/runtime.js';
import { takeHop } from './hop.js';
import { PROTOCOL } from './link-frames.js';
import { Line, Links } from './lines.js';

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
  readonly #links = new Links((line) => this.#server.emit('connection', line));
  /** Where it can be reached, and the file that it is; none before it listens, and when it has closed. */
  #path: string | null = null;
  #file: number | undefined;
  #listening = false;
  /** Made where the socket of the one before was taken away. */
  #door: Server | null = null;
  readonly #channel: Runtime<'worker'>['channel'];

  /** `servers`: the app's, by port or path. `taken`: a request is about to reach one of them; `from`: the process that sent it on. */
  constructor(
    { channel, inner }: Runtime<'worker'>, servers: ReadonlyMap<string, Server>, taken: (request: IncomingMessage, from: number) => void,
  ) {
    this.#channel = channel;
    this.#servers = servers;
    this.#taken = taken;
    const server = this.#server;
    inner.add(server);
    server.headersTimeout = 0;
    server.maxHeadersCount = 0;
    server.on('request', (request, response) => this.#answer(request, response));
    for (const event of ['checkContinue', 'checkExpectation'] as const) {
      server.on(event, (request: IncomingMessage, response: ServerResponse) => this.#answer(request, response, event));
    }
    for (const event of ['upgrade', 'connect'] as const) {
      server.on(event, (request: IncomingMessage, socket: Duplex, head: Buffer) => {
        if (request.headers.upgrade === PROTOCOL) return this.#links.add(socket as Socket, head);
        const target = this.#target(request);
        if (!target) return socket.destroy();
        this.#tunnels.add(socket);
        socket.once('close', () => this.#tunnels.delete(socket));
        if (!target.emit(event, request, socket, head)) socket.destroy();
      });
    }
  }

  async listen(file: string): Promise<void> {
    await this.#listen(this.#server, file);
    process.once('exit', () => this.#remove());
  }

  /** Listens anew where its socket is to be and is not: a cleaner of temporary files has been there. Never rejects. */
  async look(file: string): Promise<void> {
    if (this.#path === null || this.#listening || this.#stands(file)) return;
    const [before, door] = [this.#door, net.createServer((socket) => this.#server.emit('connection', socket))];
    try {
      // What it removes with itself is the path, which is about to be another one's.
      before?.close();
      await this.#listen(this.#door = door, file);
    } catch {
      // The master looks again.
      door.close();
    }
  }

  async #listen(server: Server, file: string): Promise<void> {
    this.#path = file;
    this.#listening = true;
    try {
      rmSync(file, { force: true });
      await listen(server, { path: file, exclusive: true, internal: true } as object);
      chmodSync(file, 0o600);
      this.#file = lstatSync(file).ino;
    } finally {
      this.#listening = false;
    }
  }

  #stands(file: string): boolean {
    const found = lstatSync(file, { throwIfNoEntry: false });
    return file === this.#path && found?.isSocket() === true && found.ino === this.#file;
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
      if (now >= tunnelsUntil) for (const socket of this.#tunnels) socket.end();
      if (now >= tunnelsUntil + GOODBYE) for (const socket of this.#tunnels) socket.destroy();
      if ((quiet && this.#answers.size + this.#tunnels.size === 0) || now >= deadline) break;
      await new Promise((resolve) => setTimeout(resolve, LOOK));
    }
    this.#links.close();
    this.#door?.close();
    this.#server.close();
    this.#server.closeAllConnections();
    for (const socket of this.#tunnels) socket.destroy();
    this.#remove();
  }

  #answer(request: IncomingMessage, response: ServerResponse, event = 'request'): void {
    const target = this.#target(request);
    if (!target) {
      response.writeHead(502, { 'Content-Type': 'text/plain' });
      response.end('this worker has no such server\n');
      return;
    }
    this.#answers.add(response);
    response.once('close', () => this.#answers.delete(response));
    // One of another version may listen otherwise than where its client came in.
    if (target.listenerCount(event) === 0) {
      if (event === 'checkContinue') response.writeContinue();
      event = 'request';
    }
    target.emit(event, request, response);
  }

  #target(request: IncomingMessage): Server | undefined {
    const { socket } = request;
    const hop = socket instanceof Line ? socket.hop : takeHop(request);
    const target = hop && this.#servers.get(hop.server);
    if (!target) return undefined;
    this.received++;
    this.#taken(request, hop.from);
    return target;
  }

  #remove(): void {
    if (this.#path === null) return;
    const file = this.#path;
    this.#path = null;
    rmSync(file, { force: true });
    if (this.#channel.open) return;
    // The master was killed: the last one turns off the light.
    try {
      rmdirSync(path.dirname(file));
      rmdirSync(path.dirname(path.dirname(file)));
    } catch {
      // Others are still in it.
    }
  }
}

import { readFileSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { detach, isMovable, type Config, type RawHandle } from '../../lib/index.js';
import type { Failure } from './failure.js';
import { NEWS, failureJson, failurePage } from './page.js';

const LOOPBACK = /^(?:::ffff:)?127\.|^::1$/;

/**
 * Sources and error output are for who runs the app: on a loopback address, or on a unix socket, and not sent on by a tunnel
 * or proxy for somebody who is not.
 */
function isOwner({ socket, headers }: IncomingMessage): boolean {
  const { 'x-forwarded-for': forwarded, forwarded: standard } = headers;
  const sentOn = String(forwarded ?? '').split(',').map((peer) => peer.trim()).filter(Boolean);
  return standard === undefined && [socket.remoteAddress ?? '::1', ...sentOn].every((peer) => LOOPBACK.test(peer));
}

/** What everybody else may know. */
const forOthers = ({ title, who }: Failure): Failure =>
  ({ title, who, name: '', message: 'Why is shown on the machine that it runs on.', stack: [] });

/** Answers in the master while no worker can. It never listens: it is given connections. */
export class PageServer {
  readonly #https: Config['https'];
  readonly #app: string;
  readonly #waiting = new Set<ServerResponse>();
  /** Each with the way to who can answer it later, as long as it has asked nothing. */
  readonly #sockets = new Map<Socket, (client: RawHandle) => void>();
  #server: Server | null = null;
  #failure: Failure | null = null;

  constructor({ https, title }: Config) {
    this.#https = https;
    this.#app = title;
  }

  /** What is shown from now on; pages that show something older hear of it. */
  async show(failure: Failure): Promise<void> {
    this.#failure = failure;
    this.#server ??= await this.#create();
    this.news();
  }

  /** Browsers that show a page load it again. */
  news(): void {
    for (const response of this.#waiting) response.end();
    this.#waiting.clear();
  }

  /** Somebody else can answer: connections that have asked nothing yet go there. TLS ones have begun here, and are closed. */
  release(): void {
    this.news();
    for (const [socket, again] of this.#sockets) {
      const connection = { socket, response: null, busy: socket.bytesRead > 0, asking: false };
      if (!this.#https && isMovable(connection)) again(detach(connection));
      else if (!connection.busy) socket.destroy();
    }
  }

  /** Takes a raw connection. */
  take(handle: RawHandle, again: (client: RawHandle) => void): void {
    const socket = new Socket({ handle, allowHalfOpen: true, readable: true, writable: true } as ConstructorParameters<typeof Socket>[0]);
    socket.on('error', () => {});
    this.#sockets.set(socket, again);
    socket.once('close', () => this.#sockets.delete(socket));
    this.#server?.emit('connection', socket);
  }

  async #create(): Promise<Server> {
    const answer = (request: IncomingMessage, response: ServerResponse) => this.#answer(request, response);
    if (!this.#https) return (await import('node:http')).createServer(answer);
    const { key, cert, ca } = this.#https;
    const files = { key: readFileSync(key), cert: readFileSync(cert), ca: ca === undefined ? undefined : readFileSync(ca) };
    return (await import('node:https')).createServer(files, answer);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    // The next request has to reach whoever can answer then.
    response.setHeader('Connection', 'close');
    response.setHeader('Cache-Control', 'no-store');
    if (request.url === NEWS) {
      this.#waiting.add(response);
      response.on('close', () => this.#waiting.delete(response));
      return;
    }
    const failure = isOwner(request) ? this.#failure as Failure : forOthers(this.#failure as Failure);
    const html = /\btext\/html\b/.test(request.headers.accept ?? '');
    response.statusCode = 500;
    response.setHeader('Content-Type', html ? 'text/html; charset=utf-8' : 'application/json');
    response.end(html ? failurePage(failure, this.#app, request.method ?? 'GET') : failureJson(failure));
  }
}

import http, { type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { cutAnswer } from '../../lib/runtime.js';
import { HOP_HEADER, asObject, describeHop, endToEnd } from './hop.js';

/**
 * Which process a request goes to next; null: nobody, and nobody will come. `saw`: the process that failed may have seen the
 * request.
 */
export type NextOwner = (failed: number | null, saw?: boolean) => Promise<number | 'here' | null>;

export interface Forwarding {
  /** The app's server, by its port or path. */
  server: string;
  /** This process, by its `id`. */
  from: number;
  socketOf(id: number): string;
  next: NextOwner;
}

/** Nothing of such a request changes anything, so it may be sent a second time. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);
const MAX_FREE = 64;

/** Kept connections to the other workers, and how much is on its way to each. */
export class Agents {
  readonly #agents = new Map<number, http.Agent>();
  readonly #underWay = new Map<number, number>();
  readonly #waiting = new Set<() => void>();

  of(id: number): http.Agent {
    let agent = this.#agents.get(id);
    if (!agent) this.#agents.set(id, agent = new http.Agent({ keepAlive: true, maxFreeSockets: MAX_FREE }));
    return agent;
  }

  begin(id: number): void {
    this.#underWay.set(id, (this.#underWay.get(id) ?? 0) + 1);
  }

  end(id: number): void {
    const left = (this.#underWay.get(id) ?? 0) - 1;
    if (left > 0) this.#underWay.set(id, left);
    else this.#underWay.delete(id);
    for (const look of [...this.#waiting]) look();
  }

  /** Resolves when nothing is on its way to a process. */
  idle(id: number): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (this.#underWay.has(id)) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** A process takes no more requests: idle connections to it close from this side, where it is known that nothing is on its way. */
  retire(isAlive: (id: number) => boolean): void {
    for (const [id, agent] of this.#agents) {
      if (isAlive(id)) continue;
      this.#agents.delete(id);
      // Not destroy(), which would cut those in use as well.
      (agent as unknown as { keepAlive: boolean }).keepAlive = false;
      for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
    }
  }
}

/**
 * Sends a request on to its owner and the answer back, both as they come; tries again where that is safe. False: the owner turned out
 * to be this process. Never rejects.
 */
export async function forward(
  request: IncomingMessage, response: ServerResponse, agents: Agents, forwarding: Forwarding,
): Promise<boolean> {
  try {
    return await send(request, response, agents, forwarding);
  } catch (error) {
    // A head that Node's parser lets pass and its client does not, for instance.
    return unavailable(response, 502, `not to be sent on: ${(error as Error).message}`);
  }
}

async function send(
  request: IncomingMessage, response: ServerResponse, agents: Agents,
  { server, from, socketOf, next }: Forwarding,
): Promise<boolean> {
  const headers = requestHeaders(request, describeHop(server, from, request.socket));
  let gone = false;
  const leaves = () => { gone = true; };
  response.once('close', leaves);
  // An answer that waits behind others of its connection does not hear of the client's end.
  request.once('aborted', leaves);
  let failed: number | null = null;
  let repeated = false;
  let saw = false;
  for (;;) {
    const owner = await next(failed, saw);
    if (gone) return true;
    if (owner === 'here') return false;
    if (owner === null) return unavailable(response, 503, 'the worker of this session is not there');
    const upstream = http.request({
      agent: agents.of(owner), socketPath: socketOf(owner), method: request.method, path: request.url, headers, setHost: false,
    } as http.RequestOptions);
    agents.begin(owner);
    upstream.once('close', () => agents.end(owner));
    const outcome = await attempt(request, response, upstream);
    if (outcome === 'done' || gone) return true;
    // Once more and no oftener: it may be the request that ends its worker.
    if (outcome === 'broken' || (outcome === 'unanswered' && repeated)) {
      return unavailable(response, 502, 'the worker of this session ended before it had answered');
    }
    saw = outcome === 'unanswered';
    repeated ||= saw;
    failed = owner;
  }
}

/** `again`: the owner saw nothing of it; `unanswered`: it may have, but may see it twice; `broken`: it may not. */
type Outcome = 'done' | 'again' | 'unanswered' | 'broken';

function attempt(request: IncomingMessage, response: ServerResponse, upstream: ClientRequest): Promise<Outcome> {
  return new Promise((resolve) => {
    const body = hasBody(request);
    let sent = false;
    // HTTP/2's answers know no `writableFinished`.
    const cut = () => upstream.destroy();
    const leave = () => {
      if (!(response.writableFinished ?? response.writableEnded)) return cut();
      if (request.complete) return;
      // Answered before its body was there: only the connection tells now that the rest will not come.
      const { socket } = request;
      socket.once('close', cut);
      upstream.once('close', () => socket.off('close', cut));
    };
    response.once('close', leave);
    request.once('aborted', cut);

    // The body stays where it is until there is somebody to send it to.
    upstream.once('socket', (socket: Socket) => {
      const start = () => {
        sent = true;
        if (!body) return upstream.end();
        // Before the pipe's own listener, which ends it.
        request.once('end', () => upstream.addTrailers(present(request.trailers)));
        request.pipe(upstream);
      };
      if (socket.connecting) socket.once('connect', start);
      else start();
    });
    const guarded = (write: () => void) => {
      try {
        if (!response.destroyed) write();
      } catch {
        // HTTP/2 refuses what HTTP/1.1 lets pass.
        response.destroy();
        upstream.destroy();
      }
    };
    upstream.on('continue', () => guarded(() => response.writeContinue()));
    upstream.on('information', ({ statusCode, headers }) => {
      if (statusCode === 102) guarded(() => response.writeProcessing());
      const { link } = headers;
      if (statusCode === 103 && link !== undefined) {
        guarded(() => response.writeEarlyHints({ ...headers, link } as Record<string, string | string[]>));
      }
    });
    upstream.on('response', (answer) => {
      answer.on('error', () => cutAnswer(response));
      guarded(() => relay(answer, response));
      resolve('done');
    });
    upstream.on('error', () => {
      request.unpipe(upstream);
      if (response.headersSent || response.destroyed) {
        cutAnswer(response);
        resolve('done');
        return;
      }
      response.off('close', leave);
      resolve(!sent ? 'again' : !body && SAFE.has(request.method ?? '') ? 'unanswered' : 'broken');
    });
    // An owner may answer without reading all of the body; the rest must not stand in the next request's way.
    upstream.on('close', () => {
      request.unpipe(upstream);
      if (response.headersSent) request.resume();
    });
  });
}

/** Known from the head: `complete` tells only what has been read. */
function hasBody(request: IncomingMessage & { stream?: { endAfterHeaders?: boolean } }): boolean {
  const { headers, stream } = request;
  if (stream) return stream.endAfterHeaders !== true;
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function relay(answer: IncomingMessage, response: ServerResponse): void {
  const headers = endToEnd(answer.rawHeaders, { framing: false });
  const status = answer.statusCode as number;
  if ('stream' in response) response.writeHead(status, asObject(headers));
  else response.writeHead(status, answer.statusMessage, headers as unknown as http.OutgoingHttpHeaders);
  if (answer.headers.trailer !== undefined) {
    answer.once('end', () => response.addTrailers(present(answer.trailers)));
  }
  // A stream's head must not wait for its first bytes; that of any other answer goes with them, in one write.
  if (answer.headers['content-length'] === undefined) {
    if ('stream' in response) (response as ServerResponse).flushHeaders();
    // Not flushHeaders(), which writes a head in UTF-8 whatever it was in.
    else response.write('', 'latin1');
  }
  answer.pipe(response);
}

const present = (trailers: NodeJS.Dict<string>): Record<string, string> =>
  Object.fromEntries(Object.entries(trailers).filter((entry): entry is [string, string] => entry[1] !== undefined));

function requestHeaders(request: IncomingMessage, hop: string): string[] {
  const headers = endToEnd(request.rawHeaders);
  const { host, ':authority': authority } = request.headers;
  if (host === undefined && authority !== undefined) headers.push('Host', String(authority));
  // A body of HTTP/2 needs neither; in HTTP/1 one of them says where it ends.
  const framed = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
  if (!framed && hasBody(request)) headers.push('Transfer-Encoding', 'chunked');
  headers.push(HOP_HEADER, hop);
  return headers;
}

function unavailable(response: ServerResponse, status: 502 | 503, reason: string): true {
  if (response.headersSent || response.destroyed) {
    cutAnswer(response);
    return true;
  }
  response.writeHead(status, { 'Content-Type': 'text/plain', ...status === 503 ? { 'Retry-After': '1' } : {} });
  response.end(`${reason}\n`);
  return true;
}

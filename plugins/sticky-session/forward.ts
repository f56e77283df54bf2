import http, { type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { cutAnswer } from '../../lib/runtime.js';
import type { Agents } from './agents.js';
import { LinkedRequest, isSafe, writeHead, type Outcome } from './asking.js';
import { HOP_HEADER, describeHop, endToEnd } from './hop.js';

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

/**
 * Sends a request on to its owner and the answer back, both as they come; tries again where that is safe. `first`: the owner, where one
 * is there. False: the owner turned out to be this process. Never rejects.
 */
export function forward(
  request: IncomingMessage, response: ServerResponse, agents: Agents, forwarding: Forwarding, first: number,
): Promise<boolean> {
  const link = first === 0 || hasBody(request) ? null : agents.linkTo(first, forwarding.socketOf);
  const head = link && headOf(request);
  if (!link || !head) return slowly(request, response, agents, forwarding);
  return new Promise((resolve) => {
    agents.begin(first);
    const linked = new LinkedRequest(request, response, link, (outcome) => {
      agents.end(first);
      resolve(outcome === 'done' || slowly(request, response, agents, forwarding, { owner: first, outcome }));
    });
    linked.begin(() => describeHop(forwarding.server, forwarding.from, request.socket), head);
  });
}

/** With what a link has no room for; and what has failed once. */
async function slowly(
  request: IncomingMessage, response: ServerResponse, agents: Agents, forwarding: Forwarding, before?: Failed,
): Promise<boolean> {
  try {
    return await send(request, response, agents, forwarding, before);
  } catch (error) {
    // A head that Node's parser lets pass and its client does not, for instance.
    return unavailable(response, 502, `not to be sent on: ${(error as Error).message}`);
  }
}

interface Failed {
  owner: number;
  outcome: Exclude<Outcome, 'done'>;
}

async function send(
  request: IncomingMessage, response: ServerResponse, agents: Agents,
  { server, from, socketOf, next }: Forwarding, before?: Failed,
): Promise<boolean> {
  const headers = [...requestHeaders(request), HOP_HEADER, describeHop(server, from, request.socket)];
  let gone = false;
  const leaves = () => { gone = true; };
  response.once('close', leaves);
  // An answer that waits behind others of its connection does not hear of the client's end.
  request.once('aborted', leaves);
  let failed: number | null = null;
  let repeated = false;
  let saw = false;
  /** Once more and no oftener: it may be the request that ends its worker. True: not again. */
  const fails = (owner: number, outcome: Failed['outcome']): boolean => {
    if (outcome === 'broken' || (outcome === 'unanswered' && repeated)) return true;
    saw = outcome === 'unanswered';
    repeated ||= saw;
    failed = owner;
    return false;
  };
  const lost = () => unavailable(response, 502, 'the worker of this session ended before it had answered');
  if (before && fails(before.owner, before.outcome)) return lost();
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
    if (fails(owner, outcome)) return lost();
  }
}

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
      resolve(!sent ? 'again' : !body && isSafe(request) ? 'unanswered' : 'broken');
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
  const { headers, rawHeaders, statusCode = 0, statusMessage } = answer;
  writeHead(response, statusCode, statusMessage, endToEnd(rawHeaders, { framing: false }), headers['content-length'] !== undefined);
  if (headers.trailer !== undefined) {
    answer.once('end', () => response.addTrailers(present(answer.trailers)));
  }
  answer.pipe(response);
}

const present = (trailers: NodeJS.Dict<string>): Record<string, string> =>
  Object.fromEntries(Object.entries(trailers).filter((entry): entry is [string, string] => entry[1] !== undefined));

/** What can be written as it is: anything else, which a lenient parser lets pass, is for Node's client to refuse. */
const TOKEN = /^[\w!#$%&'*+\-.^`|~]+$/;
const TARGET = /^[\x21-\x7e\x80-\xff]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** All that a link needs of a request; null: it has no room for it. */
function headOf(request: IncomingMessage): string | null {
  const { method = '', url = '' } = request;
  if (request.headers.expect !== undefined || !TOKEN.test(method) || !TARGET.test(url)) return null;
  const headers = requestHeaders(request);
  let text = `${method} ${url} HTTP/1.1\r\n`;
  for (let i = 0; i < headers.length; i += 2) {
    const [name, value] = [headers[i] as string, headers[i + 1] as string];
    if (!TOKEN.test(name) || !VALUE.test(value)) return null;
    text += `${name}: ${value}\r\n`;
  }
  return `${text}\r\n`;
}

function requestHeaders(request: IncomingMessage): string[] {
  const headers = endToEnd(request.rawHeaders);
  const { host, ':authority': authority } = request.headers;
  if (host === undefined && authority !== undefined) headers.push('Host', String(authority));
  // A body of HTTP/2 needs neither; in HTTP/1 one of them says where it ends.
  const framed = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
  if (!framed && hasBody(request)) headers.push('Transfer-Encoding', 'chunked');
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

import { chmodSync, lstatSync, renameSync, rmSync } from 'node:fs';
import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import type { Controllable, Launch, Progress, Route, RouteAnswer } from '../api/control.js';
import { descriptorLimit } from '../kit/processes.js';
import { ClusterError, wire, type ErrorData } from '../kit/errors.js';
import { createDebug } from '../kit/logger.js';
import { isObject } from '../kit/misuse.js';
import { listen } from '../kit/sockets.js';

const debug = createDebug('hatchery:control');
const windows = process.platform === 'win32';

/** One line of the answer to something that takes time. The last one is a result or an error; `alive` fills the pauses. */
export type Line =
  | { progress: Progress }
  | { alive: true }
  | { result: unknown }
  | { error: ErrorData };

/** Header: the process that asks, where a child of the master has started it. */
export const CALLER = 'x-hatchery-caller';

/** While nothing happens a line is sent this often, ms: silence means that the master hangs. */
const HEARTBEAT = 2_000;
/** What a client that does not read may leave in our memory, bytes; progress beyond it is dropped. */
const UNREAD = 64 * 1024;
/** Clients at a time: each holds a descriptor, of which a fork needs some. */
const MOST_CLIENTS = 100;
/** How long one may be silent before its request and behind its answer, ms. */
const SILENCE = 5_000;
/** What the last answer gets to be written before its connection is cut at close, ms. */
const LAST_WORDS = 300;

/** An environment is no longer than the system lets a process have, bytes. */
const LONGEST_BODY = 8 * 1024 * 1024;

interface Command {
  task: Progress['task'];
  /** `body`: JSON, where the request has one. */
  run(master: Controllable, query: URLSearchParams, body: unknown): Promise<unknown>;
}

/** A master as the control socket shows it. */
export interface Controlled extends Controllable {
  launch(): Launch;
  /** The process outlives the child that has started it, if one has. Never rejects. */
  spare(pid: number): Promise<void>;
}

const on = (query: URLSearchParams, name: string, otherwise: boolean): boolean => {
  const value = query.get(name);
  return value === null ? otherwise : value !== '0' && value !== 'false';
};

function environmentIn(body: unknown): { env?: Record<string, string> } {
  const { env } = (body ?? {}) as { env?: unknown };
  if (env === undefined) return {};
  if (isObject(env) && Object.values(env).every((value) => typeof value === 'string')) return { env: env as Record<string, string> };
  throw new ClusterError('ERR_CLUSTER_USAGE', 'reload: expected variables and their texts as `env`');
}

const commands: Readonly<Record<string, Command>> = {
  '/reload': {
    task: 'reload',
    run: (master, query, body) => master.reload(query.get('reason') ?? 'command', {
      agent: on(query, 'agent', true),
      queue: on(query, 'queue', false),
      ...environmentIn(body),
    }),
  },
  '/scale': { task: 'scale', run: (master, query) => master.scale(query.get('to') ?? '') },
  '/stop': {
    task: 'close',
    run: async (master, query) => ({ code: await master.close(query.get('reason') ?? 'stop', { force: on(query, 'force', false) }) }),
  },
};

/** HTTP on a unix socket, for the command line and for anybody with curl. Nothing that happens here reaches the master. */
export class ControlServer {
  readonly #master: Controlled;
  #server: Server | null = null;
  readonly #sockets = new Set<Socket>();
  /** Those that have not asked yet, oldest first. */
  readonly #silent = new Set<Socket>();
  #http: Promise<HttpServer> | undefined;
  /** The socket, and the file that it is. */
  #path = '';
  #file: number | undefined;

  constructor(master: Controlled) {
    this.#master = master;
  }

  /**
   * Rejects with the file system's error when the socket cannot be made. Called again, it listens there instead: the file was
   * removed. It gets its name when it is nobody else's any more; a server removes, at its end, the name that it was made with.
   */
  async listen(path: string): Promise<void> {
    const server = createServer((socket) => {
      this.#accept(socket).catch((error: unknown) => {
        debug('%o', error);
        socket.destroy();
      });
    });
    server.on('error', (error) => debug('%s', error.message));
    const before = this.#server;
    if (windows) {
      await listen(server, { path, internal: true });
    } else {
      const draft = `${path.slice(0, -'.sock'.length)}.${process.pid}.new`;
      rmSync(draft, { force: true });
      await listen(server, { path: draft, internal: true });
      chmodSync(draft, 0o600);
      renameSync(draft, path);
      this.#file = lstatSync(path).ino;
    }
    server.unref();
    this.#server = server;
    this.#path = path;
    before?.close();
  }

  /** What it has made stands at this path. */
  standsAt(path: string): boolean {
    if (windows) return this.#server !== null;
    const file = lstatSync(path, { throwIfNoEntry: false });
    return path === this.#path && file?.isSocket() === true && file.ino === this.#file;
  }

  /** Takes no more, lets the last answers out, and removes the socket. */
  async close(): Promise<void> {
    this.#server?.close();
    if (this.#path && !windows && this.standsAt(this.#path)) rmSync(this.#path, { force: true });
    const deadline = Date.now() + LAST_WORDS;
    while (this.#sockets.size > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
    for (const socket of this.#sockets) socket.destroy();
  }

  async #accept(socket: Socket): Promise<void> {
    if (!this.#hasPlace()) return void socket.destroy();
    this.#sockets.add(socket);
    this.#silent.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#silent.delete(socket);
    });
    socket.on('error', (error) => debug('%s', error.message));
    socket.setTimeout(SILENCE, () => socket.destroy());
    // node:http is loaded by the first who asks: most masters are never asked, and none while it starts.
    this.#http ??= import('node:http').then(({ createServer: createHttp }) =>
      createHttp({ keepAlive: false }, (request, response) => { void this.#answer(request, response); }));
    (await this.#http).emit('connection', socket);
  }

  /** Where all places are taken, who has been silent for longest goes. */
  #hasPlace(): boolean {
    if (this.#sockets.size < Math.min(MOST_CLIENTS, descriptorLimit(0) / 8)) return true;
    const [oldest] = this.#silent;
    if (!oldest) return false;
    this.#silent.delete(oldest);
    oldest.destroy();
    return true;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', (error) => debug('%s', error.message));
    response.setHeader('Connection', 'close');
    const { socket } = request; // It has none once it was given up.
    socket.setTimeout(0);
    this.#silent.delete(socket);
    try {
      const target = `http://control${request.url ?? '/'}`;
      if (!URL.canParse(target)) {
        return send(response, { status: 400, body: { error: { name: 'Error', message: 'the path of the request cannot be read' } } });
      }
      const { pathname, searchParams } = new URL(target);
      const command = commands[pathname];
      const caller = Number(request.headers[CALLER]);
      // A restart asks for what it needs to know before it gives its order.
      if (caller > 1 && (pathname === '/launch' || command)) await this.#master.spare(caller);
      if (command && request.method === 'POST') return await this.#stream(request, response, command, searchParams);
      const route = this.#master.routes.find((one) => one.path === pathname && one.method === request.method);
      if (route && !OWN.has(pathname)) return await this.#routed(request, response, route, searchParams);
      send(response, await this.#plain(request.method ?? 'GET', pathname, command !== undefined));
    } catch (error) {
      debug('%o', error);
      if (response.headersSent) response.end();
      else send(response, { status: error instanceof ClusterError && error.exitCode === 2 ? 400 : 500, body: { error: wire(error) } });
    } finally {
      socket.setTimeout(SILENCE);
    }
  }

  async #plain(method: string, pathname: string, isCommand: boolean): Promise<RouteAnswer> {
    if (pathname === '/status' && method === 'GET') return { body: await this.#master.status() };
    if (pathname === '/launch' && method === 'GET') return { body: this.#master.launch() };
    if (isCommand || OWN.has(pathname)) {
      return { status: 405, body: { error: { name: 'Error', message: `${pathname} wants ${isCommand ? 'POST' : 'GET'}` } } };
    }
    return { status: 404, body: { error: { name: 'Error', message: `there is no ${method} ${pathname}` } } };
  }

  /** Goes on when the client has gone: what was asked for is done. */
  async #stream(request: IncomingMessage, response: ServerResponse, command: Command, query: URLSearchParams): Promise<void> {
    const lines = new Lines(response);
    const forget = this.#master.onProgress((progress) => { if (progress.task === command.task) lines.tell(progress); });
    try {
      lines.end({ result: await command.run(this.#master, query, await bodyOf(request, true)) ?? null });
    } catch (error) {
      lines.end({ error: wire(error) });
    } finally {
      forget();
    }
  }

  /** A plugin's: a plain answer, unless it tells of its progress. */
  async #routed(request: IncomingMessage, response: ServerResponse, route: Route, query: URLSearchParams): Promise<void> {
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    let lines: Lines | undefined;
    try {
      const body = await bodyOf(request, false);
      const answer = await route.handler(query, {
        method: route.method, headers: request.headers, body, signal: gone.signal,
        progress: (text) => { (lines ??= new Lines(response)).tell({ task: 'route', text: String(text) }); },
      });
      if (lines) lines.end({ result: answer.body });
      else send(response, answer);
    } catch (error) {
      if (!lines) throw error;
      lines.end({ error: wire(error) });
    }
  }
}

/** Answered by the server itself. */
const OWN: ReadonlySet<string> = new Set([...Object.keys(commands), '/status', '/launch']);

/** An answer in lines, with a sign of life in the pauses. */
class Lines {
  readonly #response: ServerResponse;
  readonly #heartbeat = setInterval(() => this.#add({ alive: true }), HEARTBEAT).unref();

  constructor(response: ServerResponse) {
    this.#response = response;
    response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
    response.flushHeaders();
  }

  tell(progress: Progress): void {
    this.#add({ progress });
  }

  end(last: Line): void {
    clearInterval(this.#heartbeat);
    this.#add(last, true);
    this.#response.end();
  }

  #add(line: Line, always = this.#response.writableLength < UNREAD): void {
    if (always && this.#response.writable) this.#response.write(`${JSON.stringify(line)}\n`);
  }
}

/** `strictly`: it has to be JSON. Else a text that says it is, or looks like it and is, is parsed. */
async function bodyOf(request: IncomingMessage, strictly: boolean): Promise<unknown> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk as string;
    if (text.length > LONGEST_BODY) throw new ClusterError('ERR_CLUSTER_USAGE', `expected at most ${LONGEST_BODY} bytes`);
  }
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    if (!strictly && !/json/.test(request.headers['content-type'] ?? '')) return text;
    throw new ClusterError('ERR_CLUSTER_USAGE', `the body is no JSON: ${(error as Error).message}`);
  }
}

function send(response: ServerResponse, { status = 200, headers = {}, body }: RouteAnswer): void {
  const text = typeof body === 'string' ? body : `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'Content-Type': typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json',
    'Content-Length': Buffer.byteLength(text),
    ...headers,
  });
  response.end(text);
}

import { errorMonitor, type EventEmitter } from 'node:events';
import net, { type Server, type Socket } from 'node:net';
import type { Runtime } from '../api/runtime.js';
import type { Address, Served } from '../ipc/messages.js';
import { listenErrorInWords, listensOn } from '../kit/sockets.js';
import { askedFor, noteChosen, place, toListenOptions, type Asked } from './listen-options.js';
import { gateRequests } from './request-hooks.js';

type Listen = (this: Server, ...args: unknown[]) => Server;

/** More addresses of one worker are not told: an app may open them without end. */
const MOST_TOLD = 100;

/** How far the servers of this process are; beyond `runtime.servers`, which has those that listen. */
export class ListenState {
  /** `listen` was called; it has neither succeeded nor failed yet. */
  readonly pending = new Set<Server>();
  readonly #servers: ReadonlySet<Server>;
  readonly #asked = new WeakMap<Server, Asked>();
  /** 'connection' listeners that a server has without the app: Node's own and those of plugins. */
  readonly #ours = new WeakMap<Server, number>();
  readonly #watchers: (() => void)[] = [];
  #told: NodeJS.Immediate | undefined;
  /** Why the last listen failed, in words: an app that handles the error itself may say less of it. */
  refused: string | undefined;
  /** Hears of each. */
  onRefused: (why: string) => void = () => {};

  constructor(servers: ReadonlySet<Server>) {
    this.#servers = servers;
  }

  /** Somebody listens, or is about to. */
  get begun(): boolean {
    return this.pending.size > 0 || this.#servers.size > 0;
  }

  /** The same where the cluster is to be found. */
  get begunAsConfigured(): boolean {
    return [...this.pending, ...this.#servers].some((server) => this.#asked.get(server)?.configured);
  }

  /** This one listens, or is about to. */
  has(server: Server): boolean {
    return this.pending.has(server) || this.#servers.has(server);
  }

  /** Some request goes to this listener: the app that it is serves itself. */
  serves(listener: unknown): boolean {
    return [...this.pending, ...this.#servers].some((server) => server.listeners('request').includes(listener as () => void));
  }

  /** Somebody listens on this port, or is about to. */
  asksFor(port: number): boolean {
    return [...this.pending, ...this.#servers].some((server) => this.#asked.get(server)?.name.endsWith(`:${port}`));
  }

  /** Where this process serves; a server that nobody takes connections of was opened to see whether its port is free. */
  served(): Served[] {
    return [...this.#servers].filter((server) => server.listening && !this.#isProbe(server)).slice(0, MOST_TOLD)
      .map((server) => ({ ...addressOf(server), ...this.#asked.get(server) as Asked }));
  }

  /** A turn of the event loop after each change: who closes a server as soon as it listens has only tried. */
  onChange(then: () => void): void {
    this.#watchers.push(then);
  }

  changed(): void {
    this.#told ??= setImmediate(() => {
      this.#told = undefined;
      for (const then of this.#watchers) then();
    });
  }

  met(server: Server, ours: number): void {
    this.#ours.set(server, ours);
  }

  asks(server: Server, asked: Asked): void {
    this.#asked.set(server, asked);
    this.pending.add(server);
    this.changed();
  }

  refuse(error: Error): void {
    this.refused = listenErrorInWords(error.message) ?? error.message;
    this.onRefused(this.refused);
  }

  /** It listens on that port, or not any more, or has failed to. */
  settled(server: Server, port?: number): void {
    this.pending.delete(server);
    this.changed();
    noteChosen(port, this.#asked.get(server) as Asked);
    // It may get its listener when it listens already.
    if (this.#servers.has(server) && this.#isProbe(server)) {
      server.on('newListener', (name) => { if (name === 'connection') this.changed(); });
    }
  }

  #isProbe(server: Server): boolean {
    return protocolOf(server) === 'tcp' && server.listenerCount('connection') <= (this.#ours.get(server) ?? 0);
  }
}

const states = new WeakMap<Runtime, ListenState>();

export function listenStateOf(runtime: Runtime): ListenState {
  const state = states.get(runtime);
  if (!state) throw new Error('trackServers() was not called');
  return state;
}

/**
 * Makes every server of this process known to the runtime's hooks, whoever creates it: http, https, http2 and tls servers
 * all inherit `listen` from net.Server. To be called before anything of the app is loaded.
 */
export function trackServers(runtime: Runtime): void {
  const servers = runtime.servers as Set<Server>;
  const state = new ListenState(servers);
  states.set(runtime, state);
  const known = new WeakSet<Server>();
  const prototype = net.Server.prototype as { listen: Listen };
  const original = prototype.listen;

  const meet = (server: Server): void => {
    known.add(server);
    server.on('listening', () => {
      const address = addressOf(server);
      servers.add(server);
      state.settled(server, address.port);
      runtime.hooks.listening.call(server, address);
    });
    server.on('close', () => {
      servers.delete(server);
      state.settled(server);
    });
    // Not 'error': a listener there would swallow what the app does not handle.
    (server as EventEmitter).on(errorMonitor, (error: unknown) => {
      if (state.pending.has(server) && error instanceof Error) state.refuse(error);
      state.settled(server);
    });
    // Innermost: what a plugin's `server` tap puts before the listeners, such as sticky-session's forwarding, comes first.
    gateRequests(server, runtime);
    const before = server.listenerCount('connection');
    runtime.hooks.server.call(server);
    state.met(server, server.listenerCount('connection') - before);
  };

  prototype.listen = function listen(...args) {
    // Node's own error for a second listen() comes before anything is changed or announced.
    if (this.listening) return original.apply(this, args);
    const { options, callback } = toListenOptions(args);
    if (options.internal) return original.apply(this, args);
    if (!known.has(this)) meet(this);
    const asked = askedFor(options, runtime.boot.listen);
    place(options, asked, runtime.boot.listen, protocolOf(this) !== 'tcp');
    runtime.hooks.listen.call(this, options);
    state.asks(this, asked);
    try {
      return original.call(this, options, ...(options.backlog === undefined ? [] : [options.backlog]), ...(callback ? [callback] : []));
    } catch (error) {
      state.settled(this);
      throw error;
    }
  };
}

/** Where a server really listens; in a cluster worker that is what the master has bound. */
export function addressOf(server: Server): Address {
  const protocol = protocolOf(server);
  const address = server.address();
  if (typeof address === 'string') return { protocol, path: address };
  return address ? { protocol, host: address.address, port: address.port } : { protocol };
}

/**
 * By what a server can do: `instanceof` would load https and http2 into workers that use neither. HTTP/2 without TLS, as gRPC
 * speaks it, is http to whoever types the address.
 */
function protocolOf(server: Server): Address['protocol'] {
  const isSecure = 'setSecureContext' in server;
  if ('updateSettings' in server) return isSecure ? 'http2' : 'http';
  if ('closeIdleConnections' in server) return isSecure ? 'https' : 'http';
  return 'tcp';
}

/** Names of this machine, as who looks whether a port is taken writes them. */
const LOCAL = /^(?:localhost|127(?:\.\d+){3}|::1|::|0\.0\.0\.0|::ffff:127(?:\.\d+){3})$/;

type Connect = (this: Socket, ...args: unknown[]) => Socket;

/**
 * Until a worker is ready a port that its siblings serve, or those before it, and it does not, refuses what it connects there: as
 * in a plain process, where nobody serves it yet. Some libraries find out in this way whether their port is free, and would move
 * to another one (is-port-reachable, and with it `serve`). Returns what ends it.
 */
export function refuseProbes({ boot: { listen: wanted } }: Runtime, state: ListenState): () => void {
  const prototype = net.Socket.prototype as { connect: Connect };
  const { connect } = prototype;
  const { expected } = wanted;
  const ports = new Set((expected?.others ?? []).map((name) => Number(/:(\d+)$/.exec(name)?.[1])));
  if (expected?.configured && wanted.path === undefined) ports.add(wanted.port);
  let ended = false;
  const isSiblings = (port: number): boolean => !ended && !state.asksFor(port)
    && (expected === null ? listensOn(process.ppid, port) : ports.has(port));

  const refusing: Connect = function refusing(...args) {
    const { port, host } = target(args);
    if (port === undefined || !LOCAL.test(host)) return connect.apply(this, args);
    const { emit } = this;
    // Looked at when it is connected: until then somebody may come to listen.
    const emitUnlessRefused = (name: string, ...said: unknown[]): boolean => {
      const goOn = (): boolean => Reflect.apply(emit, this, [name, ...said]) as boolean;
      if (name !== 'connect' && name !== 'error') return goOn();
      this.emit = emit;
      if (name === 'error' || !isSiblings(port)) return goOn();
      const message = `connect ECONNREFUSED ${host}:${port}`;
      this.destroy(Object.assign(new Error(message), { code: 'ECONNREFUSED', syscall: 'connect', address: host, port }));
      return true;
    };
    this.emit = emitUnlessRefused as typeof emit;
    return connect.apply(this, args);
  };
  prototype.connect = refusing;
  return () => {
    ended = true;
    if (prototype.connect === refusing) prototype.connect = connect;
  };
}

/** The forms `connect` can be called in; of net.connect() the arguments come as one list. */
function target([first, second]: unknown[]): { port?: number; host: string } {
  if (Array.isArray(first)) return target(first);
  if (typeof first === 'object' && first !== null) {
    const { port, path, host } = first as { port?: unknown; path?: unknown; host?: unknown };
    return { port: path || port === undefined ? undefined : Number(port), host: host ? String(host) : 'localhost' };
  }
  return { port: Number(first) >= 0 ? Number(first) : undefined, host: typeof second === 'string' ? second : 'localhost' };
}

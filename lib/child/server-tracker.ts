import { errorMonitor, type EventEmitter } from 'node:events';
import net, { type Server } from 'node:net';
import type { ListenOptions, Runtime } from '../api/runtime.js';
import type { Address, BootInfo } from '../ipc/messages.js';
import { handleOf } from '../node/raw-sockets.js';

type Listen = (this: Server, ...args: unknown[]) => Server;

/** How far the servers of this process are; beyond `runtime.servers`, which has those that listen. */
export class ListenState {
  /** `listen` was called; it has neither succeeded nor failed yet. */
  readonly pending = new Set<Server>();
  readonly #servers: ReadonlySet<Server>;
  #waiting: (() => void)[] = [];

  constructor(servers: ReadonlySet<Server>) {
    this.#servers = servers;
  }

  /** Somebody listens, or is about to. */
  get begun(): boolean {
    return this.pending.size > 0 || this.#servers.size > 0;
  }

  /** Resolves as soon as a server listens and no other one is about to. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.check();
    });
  }

  check(): void {
    if (this.pending.size > 0 || this.#servers.size === 0) return;
    for (const resolve of this.#waiting) resolve();
    this.#waiting = [];
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
      state.pending.delete(server);
      servers.add(server);
      runtime.hooks.listening.call(server, addressOf(server));
      state.check();
    });
    server.on('close', () => {
      servers.delete(server);
      state.pending.delete(server);
      state.check();
    });
    // Not 'error': a listener there would swallow what the app does not handle.
    (server as EventEmitter).on(errorMonitor, () => {
      state.pending.delete(server);
      state.check();
    });
    runtime.hooks.server.call(server);
  };

  prototype.listen = function listen(...args) {
    // Node's own error for a second listen() comes before anything is changed or announced.
    if (this.listening) return original.apply(this, args);
    const { options, callback } = toListenOptions(args);
    if (options.internal) return original.apply(this, args);
    if (!known.has(this)) meet(this);
    place(options, runtime.boot.listen);
    runtime.hooks.listen.call(this, options);
    state.pending.add(this);
    try {
      return original.call(this, options, ...(options.backlog === undefined ? [] : [options.backlog]), ...(callback ? [callback] : []));
    } catch (error) {
      state.pending.delete(this);
      throw error;
    }
  };
}

/** Puts a server where the cluster wants it: on an inherited socket, or with a queue of its own in the kernel. */
function place(options: ListenOptions, wanted: BootInfo['listen']): void {
  const { port } = options;
  const inherited = wanted.inherited?.[String(port ?? options.path)];
  if (inherited !== undefined) {
    // The descriptor is the master's, who listens on it; an exclusive server would open it in this process.
    for (const key of ['port', 'host', 'path', 'exclusive']) delete options[key];
    options.fd = inherited;
  } else if (wanted.reusePort && port !== undefined && Number(port) > 0) {
    // With port 0 each worker would get another one; the master's shared choice stays.
    options.reusePort = true;
  }
}

/** The forms `listen` can be called in, as one options object of our own: a tap may change it and the caller's stays as it was. */
export function toListenOptions(args: unknown[]): { options: ListenOptions; callback?: () => void } {
  const [first, ...rest] = args;
  const last = args.at(-1);
  const callback = typeof last === 'function' ? last as () => void : undefined;
  const options: ListenOptions = {};
  if (typeof first === 'object' && first !== null) {
    const handle = handleIn(first);
    if (handle) options.handle = handle;
    else Object.assign(options, first);
    if ('port' in first && options.port == null) options.port = 0;
  } else if (isPipeName(first)) {
    options.path = first;
  } else {
    options.port = first === undefined || first === null || typeof first === 'function' ? 0 : first as number;
    if (typeof rest[0] === 'string') options.host = rest[0];
  }
  const backlog = rest.slice(0, 2).find((value) => value != null && typeof value !== 'function' && Number(value) > 0);
  if (options.backlog === undefined && backlog !== undefined) options.backlog = Number(backlog);
  return { options, callback };
}

/** A server or socket carries its handle; a bare handle can listen itself. */
function handleIn(value: object): unknown {
  const { handle, listen } = value as { handle?: unknown; listen?: unknown };
  return handleOf(value as Server) ?? handle ?? (typeof listen === 'function' ? value : undefined);
}

const isPipeName = (value: unknown): value is string => typeof value === 'string' && !(Number(value) >= 0);

/** Where a server really listens; in a cluster worker that is what the master has bound. */
export function addressOf(server: Server): Address {
  const protocol = protocolOf(server);
  const address = server.address();
  if (typeof address === 'string') return { protocol, path: address };
  return address ? { protocol, host: address.address, port: address.port } : { protocol };
}

/** By what a server can do: `instanceof` would load https and http2 into workers that use neither. */
function protocolOf(server: Server): Address['protocol'] {
  if ('updateSettings' in server) return 'http2';
  if ('closeIdleConnections' in server) return 'setSecureContext' in server ? 'https' : 'http';
  return 'tcp';
}

import { errorMonitor, type EventEmitter } from 'node:events';
import net, { type Server } from 'node:net';
import type { Runtime } from '../api/runtime.js';
import type { Address, Served } from '../ipc/messages.js';
import { listenErrorInWords } from '../kit/sockets.js';
import { askedFor, noteChosen, place, toListenOptions, type Asked } from './listen-options.js';
import { gateRequests } from './request-hooks.js';
import { atMost } from '../kit/time.js';

type Listen = (this: Server, ...args: unknown[]) => Server;

/** More addresses of one worker are not told: an app may open them without end. */
const MOST_TOLD = 100;

/** Milliseconds that a listen may take before the next one begins that was held back with it. */
const IN_TURN = 1_000;

interface Held {
  server: Server;
  asked: Asked;
  listen(): void;
}

/** What happens to a listen, in one way or the other. */
async function settles(server: EventEmitter, begin: () => void): Promise<void> {
  const events = ['listening', 'close', errorMonitor];
  let done = () => {};
  const settled = new Promise<void>((resolve) => { done = resolve; });
  for (const event of events) server.once(event, done);
  begin();
  await atMost(IN_TURN, settled);
  for (const event of events) server.off(event, done);
}

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
  /** What listens when this worker is adopted, in order; null: it does not stand by. */
  #held: Held[] | null = null;

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

  /** From now on who listens is held back. */
  standBy(): void {
    this.#held = [];
  }

  /** The same as if what is held back were served. */
  asIfServed(): Pick<ListenState, 'served' | 'pending' | 'onChange'> {
    return {
      served: () => (this.#held ?? []).map(({ server, asked }) => ({ protocol: protocolOf(server), ...asked })),
      pending: new Set<Server>(),
      onChange: (then) => this.onChange(then),
    };
  }

  /** Whether this listen waits for the adoption; who only looks whether a port is free may know at once. */
  holds(server: Server, asked: Asked, listen: () => void): boolean {
    if (!this.#held || this.#isProbe(server)) return false;
    this.#held.push({ server, asked, listen });
    this.asks(server, asked);
    return true;
  }

  /** It is adopted: what was held back listens now, one after the other, as one may close another of the same port. */
  async release(): Promise<void> {
    const held = this.#held ?? [];
    this.#held = null;
    for (const { server, listen } of held) {
      if (!this.pending.has(server)) continue;
      await settles(server, () => {
        try {
          listen();
        } catch (error) {
          process.nextTick(() => server.emit('error', error));
        }
      });
    }
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
    if (this.#held) this.#held = this.#held.filter((one) => one.server !== server);
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
      // For who has tapped since.
      gateRequests(server, runtime);
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
    // Innermost: what a plugin's `server` tap puts before the listeners comes first.
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
    if (state.holds(this, asked, () => { listen.apply(this, args); })) return this;
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

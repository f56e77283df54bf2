import net, { type Server } from 'node:net';
import { BailChildHook, gateRequests, openServers, openSockets, reset, type RuntimeHooks } from '../../lib/runtime.js';
import { FIRST, closingAnswers } from './connection-close.js';
import type { Drained } from './drain.js';
import { ServerDrain } from './server-drain.js';
import { WebSockets } from './web-sockets.js';

type Listen = (this: Server, ...args: unknown[]) => Server;

/**
 * The servers of a process without a runtime of ours: those that listen from now on, whoever makes them, and those that Node
 * can name now. Nothing is changed but that `listen` is seen.
 */
export class TrackedServers {
  readonly #known = new WeakMap<Server, ServerDrain>();
  readonly #open = new Set<ServerDrain>();
  readonly #listening = new Set<Server>();
  readonly #webSockets = new WebSockets();
  readonly #hooks: Pick<RuntimeHooks, 'request' | 'upgrade'>;
  #closing = false;

  constructor() {
    const tapped = (): void => { for (const server of this.#listening) this.#gate(server); };
    this.#hooks = { request: new BailChildHook(tapped), upgrade: new BailChildHook(tapped) };
    this.#hooks.upgrade.tap(FIRST, (request, socket) => { this.#webSockets.upgrades(request, socket); });
    const { prototype } = net.Server as unknown as { prototype: { listen: Listen } };
    const { listen } = prototype;
    const meet = (server: Server): void => { this.#meet(server); };
    prototype.listen = function tracked(...args) {
      meet(this);
      return listen.apply(this, args);
    };
    for (const server of openServers()) {
      this.#open.add(this.#meet(server));
      this.#gate(server);
    }
  }

  /** Those that listen, or have connections; each stops accepting now, and so does one that is still on its way there. */
  begin(): Drained[] {
    this.#closing = true;
    this.#hooks.request.tap(FIRST, closingAnswers((server) => this.#known.get(server)?.held));
    for (const drain of this.#open) drain.begin('stop');
    return [...this.#open, this.#webSockets];
  }

  /** What a drain could not see (HTTP/2 connections that came before this): cut. How many. */
  cutRest(): number {
    const rest = openServers().filter((server) => this.#known.has(server)).flatMap((server) => openSockets(server));
    for (const socket of rest) reset(socket);
    return rest.length;
  }

  #gate(server: Server): void {
    this.#listening.add(server);
    // Taps of ours alone, which do not fail.
    gateRequests(server, { hooks: this.#hooks, logger: console });
  }

  #meet(server: Server): ServerDrain {
    const known = this.#known.get(server);
    if (known) return known;
    const drain = new ServerDrain(server, this.#webSockets);
    this.#known.set(server, drain);
    server.on('listening', () => {
      if (this.#closing) drain.begin('stop');
      this.#open.add(drain);
      this.#gate(server);
    });
    // Closed by the app while it runs: it may listen again.
    server.on('close', () => {
      this.#listening.delete(server);
      if (!this.#closing) this.#open.delete(drain);
    });
    return drain;
  }
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import type { Address, RequestTap, Runtime } from '../../lib/runtime.js';
import { Agents } from './agents.js';
import { endPolling, keepPoll, markSessions, sessionOwner } from './engine-io.js';
import { enter } from './entrance.js';
import { forward, type Forwarding, type NextOwner } from './forward.js';
import { IssuedCookie } from './issued-cookie.js';
import type { StickyOptions } from './options.js';
import { Table } from './owner-table.js';
import { PrivateServer } from './private-server.js';
import { hashText } from './rendezvous.js';
import { keyFinder, type FindKey } from './request-key.js';
import { tunnel } from './tunnel.js';

/** Whose a request is: a process's, for a session that lives there; a slot's; or, with neither, of whoever has it. */
interface Owner {
  id?: number;
  slot?: number;
  /** What the slot was found by, and the next one would be. */
  key?: number;
}
const ANYONE: Owner = {};

/** Before the taps that are to run in the worker that serves; an answer that is sent on lasts as long as it lasts. */
const TAP: RequestTap = { name: 'sticky-session', stage: -50, limit: Infinity, streams: false };
/** Milliseconds before a process that just failed is tried again, if the master has not said by then what became of it. */
const AGAIN = 50;
/**
 * The same where it has got the request: a process that dies closes what it listens on last, so that who asks again at once is
 * taken, and lost a second time.
 */
const NEWS = 1_000;
/** Milliseconds before the deadline at which everything is cut. */
const MARGIN = 500;

/** In a worker of mode "request": finds the owner of each request that its servers receive, and sends on what is another's. */
export class Requests {
  forwarded = 0;
  readonly #runtime: Runtime<'worker'>;
  readonly #options: StickyOptions;
  readonly #table: Table;
  readonly #agents = new Agents();
  readonly #servers = new Map<string, Server>();
  readonly #names = new WeakMap<Server, string>();
  /** Requests that stay: found to be ours, or sent on to us. */
  readonly #local = Symbol('local');
  readonly #private: PrivateServer;
  readonly #cookie: IssuedCookie | null;
  readonly #ownerOf: (request: IncomingMessage) => Owner;

  constructor(runtime: Runtime<'worker'>, options: StickyOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#table = new Table(options.patience);
    this.#cookie = options.issue === false ? null : new IssuedCookie(options);
    this.#ownerOf = this.#cookie ? (request) => this.#bySlot(this.#cookie?.slotIn(request))
      : options.key === 'socket.io' ? (request) => this.#bySession(request)
        : this.#byKey(keyFinder(options.key as Exclude<NonNullable<StickyOptions['key']>, 'socket.io'>));
    const { hooks, channel } = runtime;
    const engines = options.key === 'socket.io' ? markSessions(runtime.boot.id).engines : [];
    this.#private = new PrivateServer(runtime, this.#servers, (request, from) => {
      this.#stays(request);
      keepPoll(engines, request, () => this.#table.isAlive(from));
    });
    runtime.signal.addEventListener('abort', () => endPolling(engines), { once: true });

    channel.on('sticky-session.release', async ({ id }) => {
      await this.#agents.idle(id);
      return true;
    });
    channel.on('sticky-session.table', (table) => {
      this.#table.update(table);
      this.#agents.retire((id) => this.#table.isAlive(id));
      void this.#private.look(this.#socketOf(runtime.boot.id));
      return true;
    });
    hooks.boot.tapPromise('sticky-session', async () => {
      await Promise.all([this.#table.known, this.#agents.begins()]);
      await this.#private.listen(this.#socketOf(runtime.boot.id));
    });
    hooks.request.tap(TAP, (request, response, server) => this.#answer(server, request as IncomingMessage, response as ServerResponse));
    hooks.upgrade.tap(TAP, (request, socket, head, server) => this.#tunnel(server, request as IncomingMessage, socket, head));
    hooks.listening.tap('sticky-session', (server, address) => {
      this.#servers.set(keyOf(address), server);
      if (!this.#names.has(server)) this.#names.set(server, keyOf(address));
    });
    hooks.beforeClose.tapPromise('sticky-session', async (closing) => {
      // A worker that finishes streams has longer than the others.
      const deadline = closing.deadline > performance.now() ? closing.deadline : closing.streamDeadline;
      const left = Math.max(0, deadline - performance.now());
      const released = channel.request('sticky-session.leave', null, { timeout: left }).catch(() => {});
      await this.#private.close(released, deadline - MARGIN, upgradeTimeout(runtime));
    });
  }

  get received(): number {
    return this.#private.received;
  }

  readonly #socketOf = (id: number): string => path.join(this.#table.dir, `${id}.sock`);

  /** Undefined: it is ours. */
  #answer(server: Server, request: IncomingMessage, response: ServerResponse): Promise<true | undefined> | undefined {
    // That of HTTP/2 has an answer; a tunnel over it is of whoever has it.
    if (this.#isLocal(request) || request.method === 'CONNECT') return undefined;
    enter(request, this.#options.forwardedFor);
    const owner = this.#ownerOf(request);
    if (this.#cookie && owner.slot !== undefined && this.#cookie.slotIn(request) !== owner.slot) {
      this.#cookie.add(response, owner.slot, isEncrypted(request.socket));
    }
    const where = this.#where(owner);
    if (where === 'here') return undefined;
    this.forwarded++;
    return this.#unless(request, forward(request, response, this.#agents, this.#forwarding(server, owner), where));
  }

  #tunnel(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<true | undefined> | undefined {
    if (this.#isLocal(request)) return undefined;
    enter(request, this.#options.forwardedFor);
    const owner = this.#ownerOf(request);
    if (this.#where(owner) === 'here') return undefined;
    this.forwarded++;
    return this.#unless(request, tunnel(request, socket, head, this.#agents, this.#forwarding(server, owner)));
  }

  #stays(request: IncomingMessage): void {
    (request as unknown as Record<symbol, boolean>)[this.#local] = true;
  }

  #isLocal(request: IncomingMessage): boolean {
    return (request as unknown as Record<symbol, boolean>)[this.#local] === true;
  }

  /** It was sent on, unless its owner turned out to be this process. */
  async #unless(request: IncomingMessage, isSent: Promise<boolean>): Promise<true | undefined> {
    if (await isSent) return true;
    this.#stays(request);
    return undefined;
  }

  #forwarding(server: Server, owner: Owner): Forwarding {
    return {
      server: this.#names.get(server) ?? '',
      from: this.#runtime.boot.id,
      socketOf: this.#socketOf,
      next: this.#next(owner),
    };
  }

  /** Where to now: a process, here, or nowhere at the moment (0). */
  #where({ id: session, slot }: Owner): number | 'here' {
    const { id: own } = this.#runtime.boot;
    if (session !== undefined) return session !== own && this.#table.mayLive(session) ? session : 'here';
    if (slot === undefined) return 'here';
    const id = this.#table.ownerOf(slot);
    if (id === own || (id === 0 && this.#table.closing)) return 'here';
    return id;
  }

  #next(owner: Owner): NextOwner {
    const latest = performance.now() + this.#options.patience;
    let replaced = false;
    return async (failed, saw = false) => {
      if (replaced) return null;
      if (failed !== null && this.#table.isAlive(failed)) this.#runtime.channel.send('sticky-session.missing', null);
      const again = performance.now() + (saw ? NEWS : AGAIN);
      for (;;) {
        const where = this.#where(owner);
        const now = performance.now();
        if (where === 'here' || (where !== 0 && (where !== failed || now >= again))) return where;
        // No such process after all: whose session it was is known by its id alone, and anybody can write that.
        if (owner.id !== undefined && !this.#table.isAlive(owner.id)) return 'here';
        // Others may have waited for this slot already.
        const ends = owner.slot === undefined ? latest : Math.min(latest, this.#table.patienceEnds(owner.slot));
        const left = ends - now;
        if (left <= 0) {
          replaced = true;
          return this.#instead(owner, failed);
        }
        await this.#table.changed(where === 0 ? left : Math.min(left, again - now));
      }
    };
  }

  /** Patience is over: the next slot in the order of this key. */
  #instead({ slot, key }: Owner, failed: number | null): number | 'here' | null {
    const next = key === undefined ? undefined : this.#table.slotOf(key, slot);
    const where = next === undefined ? 0 : this.#where({ slot: next });
    return where === 0 || where === failed ? null : where;
  }

  #byKey(find: FindKey): (request: IncomingMessage) => Owner {
    return (request) => {
      const text = find(request);
      return text === undefined ? ANYONE : this.#byHash(hashText(text));
    };
  }

  #byHash(key: number): Owner {
    const slot = this.#table.slotOf(key);
    return slot === undefined ? ANYONE : { slot, key };
  }

  #bySession(request: IncomingMessage): Owner {
    const id = sessionOwner(request);
    return id === undefined ? this.#bySlot(undefined) : { id };
  }

  /** A client that is bound to nobody yet is bound to this worker's slot: to its successor, when this one is on its way out. */
  #bySlot(slot: number | undefined): Owner {
    const bound = slot !== undefined && this.#table.counts(slot) ? slot : this.#runtime.slot;
    return this.#table.counts(bound) ? { slot: bound, key: bound } : this.#byHash(bound);
  }
}

const keyOf = ({ port, path: file }: Address): string => String(file ?? port);

const isEncrypted = (socket: Socket | undefined): boolean => (socket as { encrypted?: boolean } | undefined)?.encrypted === true;

/** graceful-exit's, as a forwarded WebSocket is one like any other. */
function upgradeTimeout({ config }: Runtime<'worker'>): number {
  const options = (config.plugins as Record<string, unknown> | undefined)?.['graceful-exit'];
  const value = (options as { upgradeTimeout?: unknown } | undefined)?.upgradeTimeout;
  return typeof value === 'number' ? value : 5_000;
}

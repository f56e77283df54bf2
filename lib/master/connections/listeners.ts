import net, { type Server } from 'node:net';
import type { TakeUnserved } from '../../api/plugin.js';
import { message as hatchery } from '../../ipc/messages.js';
import type { Faults } from '../../kit/faults.js';
import { createDebug } from '../../kit/logger.js';
import { listen } from '../../kit/sockets.js';
import {
  addressKey, beforeListen, expectedKey, hearInternal, isClusters, listenOn, markAddress, portIn, seeHandlesMade, seeSent,
  type ClusterMessage,
} from '../../node/cluster.js';
import { guardErrors } from '../../node/cluster-ends.js';
import { handleOf, ownPort, type RawHandle } from '../../node/raw-sockets.js';
import type { Child } from '../processes/child.js';
import { Acceptor } from './acceptor.js';
import type { Room } from './room.js';
import type { Routing } from './routing.js';

const debug = createDebug('hatchery:listeners');

/** Milliseconds after an exit in which the last of its messages are read. */
const UNREAD = 10;

/**
 * All addresses that workers listen on. Stands between node:cluster and its workers: sees which worker asks for which
 * address, takes over the round-robin handle that Node makes for it (see Acceptor), and keeps an address open while it has
 * no worker. With SCHED_NONE the workers accept for themselves; then it only keeps the shared socket open.
 */
export class Listeners {
  /** Whether an address outlives its last worker. */
  held = true;

  readonly #acceptors = new Map<string, Acceptor>();
  /** Opened before any worker listened: which address its worker will ask for is only a guess. */
  readonly #provisional = new Set<string>();
  #fallback: TakeUnserved | null = null;
  /** Requests of workers for an address, until node:cluster answers. */
  readonly #queries = new Map<string, string>();
  /** SCHED_NONE: sockets that node:cluster shares out. */
  readonly #shared = new Map<string, { handle: RawHandle; close: () => void; users: Set<Child> }>();
  #asking: string | null = null;
  /** Not a number: another copy of this code in the process would count as well. */
  readonly #mark = Math.random().toString(36).slice(2);
  readonly #patience: number;
  readonly #routing: Routing;
  readonly #room: Room;
  readonly #faults: Faults;
  readonly #restore: () => void;

  /** `patience`: milliseconds a connection waits for a worker. */
  constructor(patience: number, routing: Routing, room: Room, faults: Faults) {
    this.#room = room;
    this.#faults = faults;
    this.#patience = patience;
    this.#routing = routing;
    this.#restore = this.#intercept();
  }

  /** Takes connections while there is no worker for them, in place of letting them wait; null: they wait. */
  set fallback(fallback: TakeUnserved | null) {
    this.#fallback = fallback;
    if (fallback) for (const acceptor of this.#acceptors.values()) acceptor.flush();
  }

  /** Listens where the workers are expected to, when none has come that far: for the fallback. Rejects with what `listen` says. */
  async open({ port, host, path }: { port: number; host?: string; path?: string }): Promise<void> {
    if (this.#acceptors.size > 0) return;
    const server = net.createServer();
    await listen(server, path === undefined ? { port, host } : { path });
    // As node:cluster will name what a worker asks for.
    const key = expectedKey(server, { host, path }, this.#mark);
    this.#provisional.add(key);
    this.#acceptors.set(key, this.#acceptor(handleOf(server) as RawHandle));
  }

  /** Must be called right after the fork, before the worker can have said anything. */
  watch(child: Child): void {
    const { process: proc } = child;
    const guard = <Args extends unknown[]>(then: (...args: Args) => void) => this.#faults.guard(`worker#${child.slot}: addresses`, then);
    hearInternal(proc, guard((message, handle) => this.#heard(child, message, handle)), () => { this.#asking = null; });
    seeSent(proc, guard((message) => this.#said(child, message)));
    const gone = () => {
      this.leave(child);
    };
    // At 'disconnect' the channel has been read to its end: an answer that has not come never will. But with a handle on its
    // way to a process that dies, Node does not emit it (test/integration/worker-dies-unread.test.ts).
    proc.once('disconnect', guard(() => {
      gone();
      child.handover?.disconnected();
    }));
    const end = guard(() => {
      gone();
      child.handover?.end();
    });
    proc.once('exit', () => { setTimeout(end, UNREAD); });
  }

  /** A worker is about to drain: nothing is routed to it any more. False when nothing was. */
  leave(child: Child): boolean {
    const shared = [...this.#shared.values()].map(({ users }) => users.delete(child));
    return [...this.#acceptors.values()].map((acceptor) => acceptor.leave(child)).concat(shared).includes(true);
  }

  /** Closes addresses that no worker wants any more, once all slots are served. */
  release(): void {
    for (const [key, acceptor] of this.#acceptors) if (acceptor.members === 0) this.#drop(key, acceptor);
    for (const [key, shared] of this.#shared) {
      if (shared.users.size > 0) continue;
      this.#shared.delete(key);
      shared.close();
    }
  }

  /**
   * Ends accepting; resolves when the workers have taken what was accepted, or after `limit` ms: one that is told to close
   * first refuses what is still on its way to it, and nobody else is left to take it.
   */
  async stop(limit: number): Promise<void> {
    this.held = false;
    // One turn of the loop more, for what the kernel has already accepted.
    await new Promise((resolve) => setImmediate(resolve));
    for (const acceptor of this.#acceptors.values()) acceptor.stopListening();
    for (const shared of this.#shared.values()) shared.close();
    this.#shared.clear();
    const deadline = performance.now() + limit;
    while ([...this.#acceptors.values()].some((one) => one.handing) && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  end(): void {
    this.held = false;
    for (const [key, acceptor] of this.#acceptors) this.#drop(key, acceptor);
    this.#restore();
  }

  /** A connection that its worker gives back goes on like a new one of its address. */
  #takeBack(client: RawHandle, { key, note }: ClusterMessage): void {
    const acceptors = [...this.#acceptors.values()];
    const port = ownPort(client);
    // Its address may have been opened anew since, but of two on one port the other one is a stranger to it.
    const others = acceptors.filter((one) => ownPort(one.handle) === port);
    const acceptor = acceptors.find((one) => one.key === key) ?? (others.length === 1 ? others[0] : undefined);
    if (acceptor) acceptor.acceptAgain(client, note);
    else client.close();
  }

  #acceptor(handle: RawHandle): Acceptor {
    return new Acceptor(handle, {
      routing: this.#routing, room: this.#room, faults: this.#faults,
      held: () => this.held, fallback: () => this.#fallback, patience: this.#patience,
    });
  }

  #drop(key: string, acceptor: Acceptor): void {
    this.#acceptors.delete(key);
    this.#provisional.delete(key);
    acceptor.close();
  }

  /** A worker's message, before node:cluster sees it. */
  #heard(child: Child, message: ClusterMessage, handle?: RawHandle): void {
    if (message?.cmd === hatchery.connectionBack && handle) this.#takeBack(handle, message);
    if (!isClusters(message)) return;
    if (message.act === 'queryServer') {
      markAddress(message, this.#mark);
      const key = addressKey(message);
      this.#asking = key;
      this.#queries.set(`${child.pid}:${message.seq}`, key);
    } else if (message.act === 'close' && message.key !== undefined) {
      for (const acceptor of this.#acceptors.values()) if (acceptor.key === message.key) acceptor.leave(child);
      this.#shared.get(message.key)?.users.delete(child);
    }
  }

  /** node:cluster's message to a worker: the answer to a query tells that the worker listens. */
  #said(child: Child, message: ClusterMessage): void {
    if (!isClusters(message) || message.ack === undefined) return;
    const query = this.#queries.get(`${child.pid}:${message.ack}`);
    if (query === undefined) return;
    this.#queries.delete(`${child.pid}:${message.ack}`);
    if (message.errno) return;
    this.#shared.get(query)?.users.add(child);
    // After the answer is on its way: a worker refuses connections for a key it does not know yet. And the first answer
    // for an address is given just before its handle is taken over.
    queueMicrotask(this.#faults.guard(`worker#${child.slot}: joins`, () => {
      const acceptor = this.#acceptors.get(query);
      if (!acceptor) return;
      acceptor.key = message.key ?? query;
      acceptor.join(child);
    }));
  }

  /** What node:cluster makes while it answers a worker's request for an address is that address's. */
  #intercept(): () => void {
    return seeHandlesMade({
      server: (server) => {
        const key = this.#asking;
        this.#asking = null;
        if (key !== null) this.#faults.run(key, () => this.#adopt(key, server));
      },
      handle: (make) => {
        const key = this.#asking;
        this.#asking = null;
        const kept = key === null ? undefined : this.#shared.get(key);
        if (kept) return kept.handle;
        const handle = make();
        if (key !== null && typeof handle !== 'number') this.#share(key, handle);
        return handle;
      },
    });
  }

  #adopt(key: string, server: Server): void {
    guardErrors(server);
    const parked = this.#acceptors.get(key);
    if (parked) listenOn(server, parked.handle);
    const inTheWay = parked ? undefined : [...this.#provisional].find((other) => portIn(other) === portIn(key));
    const waiting: RawHandle[] = [];
    if (inTheWay !== undefined) {
      // In the same turn as the listen that takes its place: nobody is refused.
      beforeListen(server, () => {
        waiting.push(...this.#acceptors.get(inTheWay)?.surrender() ?? []);
        this.#acceptors.delete(inTheWay);
        this.#provisional.delete(inTheWay);
      });
    }
    this.#provisional.delete(key);
    let handle: RawHandle | null = null;
    server.prependOnceListener('listening', () => { handle = handleOf(server); });
    // Registered in the next tick, hence after node:cluster's own listener, which claims the handle.
    process.nextTick(() => server.once('listening', this.#faults.guard(key, () => {
      if (!handle) return;
      debug('taking over %s', key);
      if (parked) parked.take();
      else this.#acceptors.set(key, this.#acceptor(handle));
      for (const client of waiting) this.#acceptors.get(key)?.accept(client);
    })));
  }

  #share(key: string, handle: RawHandle): void {
    const close = handle.close.bind(handle);
    this.#shared.set(key, { handle, close, users: new Set() });
    handle.close = () => {
      if (this.held) return;
      this.#shared.delete(key);
      close();
    };
  }
}

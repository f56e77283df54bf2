import net, { type Server } from 'node:net';
import type { TakeUnserved } from '../../api/plugin.js';
import { valid } from '../../ipc/intake.js';
import type { Faults } from '../../kit/faults.js';
import { createDebug } from '../../kit/logger.js';
import { listen } from '../../kit/sockets.js';
import {
  addressKey, expectedKey, hearInternal, isClusters, markAddress, message as hatchery, seeHandlesMade, seeSent, type ClusterMessage,
} from '../../node/cluster.js';
import { guardErrors } from '../../node/cluster-ends.js';
import { listenOn, seenAs, standInFor, type Place } from '../../node/listening.js';
import { Doubles } from '../../node/parked-socket.js';
import { BACKLOG, handleOf, ownPort, type RawHandle } from '../../node/raw-sockets.js';
import type { Child } from '../processes/child.js';
import { Acceptor, handedOut } from './acceptor.js';
import { HeldAddress, fileOf, openFor, placeOf, placeOfServer, type Query, type SharedHandle } from './held-address.js';
import type { Room } from './room.js';
import type { Routing } from './routing.js';
import { SlotSockets } from './slot-sockets.js';

const debug = createDebug('hatchery:listeners');

/** Milliseconds after an exit in which the last of its messages are read. */
const UNREAD = 10;

/**
 * All addresses that workers listen on. Stands between node:cluster and its workers: sees which worker asks for which
 * address, takes over the round-robin handle that Node makes for it (see Acceptor), and keeps an address open while it has
 * no worker. A worker gets connections when it is ready. With SCHED_NONE the workers accept for themselves; then it only keeps
 * the shared socket open.
 */
export class Listeners {
  /** An address outlives its last worker. */
  held = true;
  /** Whether each slot has a socket of its own (SlotSockets); to be said before anything listens. */
  slotSockets = false;

  /** By node:cluster's names for them; one address may have several. */
  readonly #addresses = new Map<string, HeldAddress>();
  #fallback: TakeUnserved | null = null;
  /** Lets those connect to a unix socket that the configuration says; null: there is none. Never throws. */
  grant: (file: string | null) => void = () => {};
  /** Requests of workers for an address, until node:cluster answers. */
  readonly #queries = new Map<string, Query>();
  #asking: Query | null = null;
  /** Not a number: another copy of this code in the process would count as well. */
  readonly #mark = Math.random().toString(36).slice(2);
  readonly #patience: number;
  readonly #routing: Routing;
  readonly #room: Room;
  readonly #faults: Faults;
  readonly #restore: () => void;
  readonly #doubles = new Doubles();

  /** `patience`: milliseconds a connection waits for a worker. */
  constructor(patience: number, routing: Routing, room: Room, faults: Faults) {
    this.#room = room;
    this.#faults = faults;
    this.#patience = patience;
    this.#routing = routing;
    this.#restore = this.#intercept();
  }

  get #all(): Set<HeldAddress> { return new Set(this.#addresses.values()); }

  get #acceptors(): Acceptor[] { return [...this.#all].flatMap(({ acceptor }) => acceptor ?? []); }

  get views() { return this.#acceptors.map(({ view }) => view); }

  /** Takes connections while there is no worker for them, in place of letting them wait; null: they wait. */
  set fallback(fallback: TakeUnserved | null) {
    this.#fallback = fallback;
    if (fallback) for (const acceptor of this.#acceptors) acceptor.flush();
  }

  /** Listens where the workers are expected to, when none has come that far: for the fallback. Rejects with what `listen` says. */
  async open({ port, host, path, server: hasServer }: { port: number; host?: string; path?: string; server?: boolean }): Promise<void> {
    if (hasServer === false || [...this.#all].some(({ proven, bound }) => proven || !bound || bound.port === port)) return;
    const server = net.createServer();
    await listen(server, path === undefined ? { port, host } : { path });
    this.grant(path ?? null);
    const address = new HeldAddress(this.#acceptor(handleOf(server) as RawHandle), placeOfServer(server, host), path ?? null);
    address.proven = true;
    // As node:cluster will name what a worker asks for; that is only a guess.
    this.#addresses.set(expectedKey(server, { host, path }, this.#mark), address);
  }

  /** Must be called right after the fork, before the worker can have said anything. */
  watch(child: Child): void {
    const { process: proc } = child;
    const guard = <Args extends unknown[]>(then: (...args: Args) => void) => this.#faults.guard(`worker#${child.slot}: addresses`, then);
    hearInternal(proc, guard((message, handle) => this.#heard(child, message, handle)), () => { this.#asking = null; });
    seeSent(proc, guard((message) => this.#said(child, message)));
    child.channel.on('child.slotSocket', ({ key, accepts }) => {
      this.#addresses.get(key)?.acceptor?.socket.took(child, accepts);
    }, valid['child.slotSocket']);
    this.#faults.watch(`worker#${child.slot}: joins`, child.becameReady.then(() => {
      for (const [key, address] of this.#addresses) if (address.names.get(key)?.users.has(child)) address.join(child, key, this.#all);
    }));
    const gone = () => { this.leave(child); };
    // At 'disconnect' the channel has been read to its end: an answer that has not come never will. But with a handle on its
    // way to a process that dies, Node does not emit it (test/integration/worker-dies-unread.test.ts).
    proc.once('disconnect', guard(() => {
      gone();
      child.handover?.disconnected();
    }));
    const end = guard(() => {
      gone();
      child.handover?.end();
      // It may have been the only one that ever listened there.
      for (const address of this.#all) if (!address.proven && !address.used) this.#drop(address);
    });
    proc.once('exit', () => { setTimeout(end, UNREAD); });
  }

  /** A worker is about to drain: nothing is routed to it any more. False when nothing was. */
  leave(child: Child): boolean {
    return [...this.#all].map((address) => address.leave(child)).includes(true);
  }

  /** Closes addresses that no worker wants any more, once all slots are served, and others as far as nobody does. */
  release(): void {
    const all = this.#all;
    for (const address of all) {
      if (address.used) address.fit(all, true);
      else if (!address.kept) this.#drop(address);
    }
  }

  /**
   * Ends accepting what waits in the kernel, within `limit` ms; resolves when the workers have taken what was accepted, when they take
   * none, or after `most` ms: one that is told to close first refuses what is still on its way to it, and nobody else is left to take it.
   */
  async stop(limit: number, most: number): Promise<void> {
    this.held = false;
    await Promise.all(this.#acceptors.map((one) => one.socket.takeBack(limit)));
    for (const address of this.#all) {
      if (address.acceptor) address.acceptor.socket.stop();
      else this.#drop(address);
    }
    await handedOut(this.#acceptors, most);
  }

  end(): void {
    this.held = false;
    for (const address of this.#all) this.#drop(address);
    this.#doubles.end();
    this.#restore();
  }

  /** A connection that its worker gives back goes on like a new one of its address. */
  #takeBack(client: RawHandle, { key, note }: ClusterMessage): void {
    const port = ownPort(client);
    // Its address may have been opened anew since, but of two on one port the other one is a stranger to it.
    const others = this.#acceptors.filter((one) => ownPort(one.handle) === port);
    const acceptor = this.#addresses.get(key ?? '')?.acceptor ?? (others.length === 1 ? others[0] : undefined);
    if (acceptor) acceptor.acceptAgain(client, note);
    else client.close();
  }

  #acceptor(source: ConstructorParameters<typeof Acceptor>[0]): Acceptor {
    return new Acceptor(source, {
      routing: this.#routing, room: this.#room, faults: this.#faults,
      held: () => this.held, fallback: () => this.#fallback, patience: this.#patience,
    });
  }

  #drop(address: HeldAddress): void {
    for (const [key, one] of this.#addresses) if (one === address) this.#addresses.delete(key);
    address.close();
    // It may have stood in the way of what others are to be.
    // Made once: a worker may have had a thousand of them (hostile-child).
    const others = this.#all;
    if (this.held) for (const other of others) other.fit(others);
  }

  /** A worker's message, before node:cluster sees it. */
  #heard(child: Child, message: ClusterMessage, handle?: RawHandle): void {
    if (message?.cmd === hatchery.connectionBack && handle) this.#takeBack(handle, message);
    if (!isClusters(message)) return;
    if (message.act === 'queryServer') {
      // 0 where the app says nothing.
      const asked = { place: placeOf(message), file: fileOf(message), child, backlog: message.backlog || BACKLOG };
      markAddress(message, this.#mark);
      this.#asking = { key: addressKey(message), ...asked };
      this.#queries.set(`${child.pid}:${message.seq}`, this.#asking);
    } else if (message.act === 'close' && message.key !== undefined) {
      const address = this.#addresses.get(message.key);
      address?.closed(child, message.key);
      address?.letGo(child, this.#faults.guard('an address that is let go', () => this.#drop(address)));
    }
  }

  /** node:cluster's message to a worker: the answer to a query tells that the worker listens. */
  #said(child: Child, message: ClusterMessage): void {
    if (!isClusters(message) || message.ack === undefined) return;
    const query = this.#queries.get(`${child.pid}:${message.ack}`);
    if (query === undefined) return;
    this.#queries.delete(`${child.pid}:${message.ack}`);
    if (message.errno) return;
    // After the answer is on its way: a worker refuses connections for a key it does not know yet. And the first answer
    // for an address is given just before its handle is taken over.
    queueMicrotask(this.#faults.guard(`worker#${child.slot}: joins`, () => {
      // By the name that node:cluster tells, which has another form from one version to the next.
      const key = message.key ?? query.key;
      const address = this.#addresses.get(query.key) ?? this.#addresses.get(key);
      if (!address) return;
      this.#addresses.set(key, address);
      address.name(key, query.place).users.add(child);
      if (child.state === 'ready') address.join(child, key, this.#all);
    }));
  }

  /** What node:cluster makes while it answers a worker's request for an address is that address's. */
  #intercept(): () => void {
    const asked = (): Query | null => {
      const query = this.#asking;
      this.#asking = null;
      return query;
    };
    return seeHandlesMade({
      server: (server) => {
        const query = asked();
        if (query) this.#faults.run(query.key, () => this.#adopt(query, server));
      },
      handle: (make) => {
        const query = asked();
        const kept = query && this.#at(query);
        if (kept) return kept.handle;
        const handle = make();
        if (query && typeof handle !== 'number') this.#share(query, handle);
        return handle;
      },
    });
  }

  /** What is open for that already, under this name or as another one. */
  #at({ key, place, child }: Query): HeldAddress | undefined {
    const known = this.#addresses.get(key);
    if (known || !place || place.port === 0) return known;
    const open = openFor(place, child, this.#all);
    if (open) this.#addresses.set(key, open);
    return open;
  }

  /** After a reload: what the configuration says of its sockets may have changed. */
  grantAgain(): void {
    for (const { file } of this.#all) this.grant(file);
  }

  #adopt(query: Query, server: Server): void {
    guardErrors(server);
    const { key, place } = query;
    const open = this.#at(query);
    if (open) {
      open.name(key, place && { ...place, port: open.bound?.port ?? place.port });
      return listenOn(server, standInFor(open.handle, place && seenAs(place.host, place.family)));
    }
    const source = this.slotSockets && place ? this.#slotSockets(query, place) : null;
    // What the system says against it, it says to node:cluster.
    if (source) return listenOn(server, this.#enter(query, this.#acceptor(source)).handle);
    let handle: RawHandle | null = null;
    server.prependOnceListener('listening', () => { handle = handleOf(server); });
    // Registered in the next tick, hence after node:cluster's own listener, which claims the handle.
    process.nextTick(() => server.once('listening', this.#faults.guard(key, () => {
      if (!handle) return;
      debug('taking over %s', key);
      this.#enter(query, this.#acceptor(handle));
    })));
  }

  #slotSockets({ child: { slot }, backlog }: Query, place: Place) {
    return SlotSockets.open({ place, slot, backlog, doubles: this.#doubles, room: this.#room, faults: this.#faults });
  }

  #enter({ key, place, file }: Query, open: Acceptor | SharedHandle): HeldAddress {
    this.grant(file);
    const address = new HeldAddress(open, place && { ...place, port: ownPort(open.handle) ?? place.port }, file);
    address.name(key, address.bound);
    this.#addresses.set(key, address);
    return address;
  }

  #share(query: Query, handle: RawHandle): void {
    const address = this.#enter(query, { handle, close: handle.close.bind(handle) });
    handle.close = () => {
      if (!this.held) this.#drop(address);
    };
  }
}

import type { ListeningAddress, SlotLoad } from '../../api/child.js';
import type { TakeUnserved } from '../../api/plugin.js';
import type { Faults } from '../../kit/faults.js';
import type { RawHandle } from '../../node/raw-sockets.js';
import type { Child } from '../processes/child.js';
import { ListeningSocket, type Listening, type OnConnection } from './listening-socket.js';
import type { Room } from './room.js';
import { loadOf, type Member, type Pending, type Place, type Routing } from './routing.js';

export interface AcceptorOptions {
  routing: Routing;
  faults: Faults;
  room: Room;
  held(): boolean;
  /** What takes connections in place of letting them wait while there is no worker. */
  fallback(): TakeUnserved | null;
  /** Milliseconds a connection waits for a worker before it is closed. */
  patience: number;
}

/** Milliseconds until a worker that refused a connection (its server closes, or is full) is offered one again. */
const REFUSED = 10;
/** Milliseconds that an idle connection may wait longer than one that has just come. */
const IDLE = 5_000;
/** Milliseconds between two looks at what waits. */
const LOOK = 1_000;

/**
 * One listening address: takes its connections in the master and hands each to a worker, as node:cluster's round-robin does (see
 * Handover). Ours, because Node's loses connections: what a worker had not acknowledged when it died hangs for ever, and what waits
 * when the last worker leaves is cut (docs/decisions/node-facts.md, 6). And because a plugin may choose the slot: each slot has its own
 * queue, so one that is blocked or gone delays no other.
 */
export class Acceptor {
  /** When it is closed alone, what waits is still handed out while there is a worker. */
  readonly socket: Listening;
  /** As plugins see it. */
  readonly view: ListeningAddress;
  /** Where it listens; told by who opens it. */
  where: () => ListeningAddress['address'] = () => ({});
  /** In the order in which they became free. */
  readonly #free = new Set<Member>();
  readonly #members = new Map<Child, Member>();
  readonly #places = new Map<number, Place>();
  /** Connections that any worker may take. */
  #shared: Pending[] = [];
  readonly #preparing = new Set<RawHandle>();
  readonly #options: AcceptorOptions;
  readonly #created = performance.now();
  readonly #leaveRoom: () => void;
  #sweeper: NodeJS.Timeout | undefined;

  /** `source`: the handle that node:cluster listens on, or what makes something else of it. */
  constructor(source: RawHandle | ((onconnection: OnConnection) => Listening), options: AcceptorOptions) {
    this.#options = options;
    this.view = options.routing.view(this);
    const onconnection = options.faults.guard('connection', (error: number, client?: RawHandle) => {
      if (!error && client) this.accept(client);
    });
    this.socket = typeof source === 'function' ? source(onconnection) : new ListeningSocket(source, onconnection, options);
    this.#leaveRoom = options.room.enter(this);
    this.handle.close = () => {
      if (!this.#options.held()) this.close();
    };
  }

  /** What node:cluster has of it. */
  get handle(): RawHandle { return this.socket.handle; }

  get members(): number { return this.#members.size; }

  get waiting(): number {
    let { length } = this.#shared;
    for (const { queue } of this.#places.values()) length += queue.length;
    return length;
  }

  /** performance.now() since when the one that has waited longest does, be it on its way to a worker; Infinity: none waits. */
  get waitsSince(): number {
    const given = [...this.#members.values()].flatMap(({ busy, child }) => busy ? this.#place(child.slot).stalledSince ?? [] : []);
    return Math.min(Infinity, ...given, ...this.#queues().flatMap(([first]) => first?.since ?? []));
  }

  /** Connections that wait for whoever is free first. */
  get unpicked(): number { return this.#shared.length; }

  load(slot: number): Omit<SlotLoad, 'index'> { return loadOf(this.#places.get(slot)); }

  /** In the master, for whatever reason. */
  get #held(): number {
    return this.waiting + this.#preparing.size;
  }

  /** A connection is on its way to a worker, or will be. */
  get handing(): boolean {
    const members = [...this.#members.values()];
    return members.length > 0 && (this.waiting > 0 || members.some(({ busy }) => busy));
  }

  /** A connection that a worker has had and gives back: there is nothing to prepare any more. */
  acceptAgain(client: RawHandle, note: unknown): void {
    // Idle, so nobody waits for an answer yet: the worker that fails to come has its deadline first.
    this.#route({ client, slot: undefined, note, since: performance.now() + IDLE });
  }

  accept(client: RawHandle): void {
    const pending: Pending = { client, slot: undefined, note: undefined, since: performance.now() };
    const { routing } = this.#options;
    if (!this.socket.admits(client, this.#held)) return client.close();
    if (!routing.prepares) return this.#route(pending);
    this.#preparing.add(client);
    const known = () => this.#preparing.delete(client);
    routing.prepare(client, (note) => {
      pending.note = note;
      if (known()) this.#route(pending);
    }, known, this.view);
  }

  /** A worker that is ready takes connections from now on, for its listener `key`. */
  join(child: Child, key = ''): void {
    if (this.#members.has(child) || !child.handover) return;
    const member: Member = { child, key, handover: child.handover, busy: false };
    this.#members.set(child, member);
    this.#place(child.slot).members.push(member);
    this.socket.joined(child, key);
    this.#next(member);
  }

  /** No more connections to this worker; what it has not answered is still its own. False when it had none. */
  leave(child: Child): boolean {
    return this.#remove(child) !== undefined;
  }

  /** Gives what waits to a fallback that has just come. */
  flush(): void {
    if (this.#members.size > 0) return;
    for (const queue of this.#queues()) for (const pending of queue.splice(0)) this.#wait(queue, pending, false);
  }

  close(): void {
    this.socket.close();
    this.#leaveRoom();
    for (const client of this.#preparing) client.close();
    this.#preparing.clear();
    for (const queue of this.#queues()) for (const { client } of queue.splice(0)) client.close();
    clearInterval(this.#sweeper);
  }

  /** Closes up to `count` connections that wait, the last to come first; says how many. */
  giveUp(count: number): number {
    const waiting = this.#queues().flat().sort((a, b) => b.since - a.since).map(({ client }) => client);
    const gone = new Set([...waiting, ...this.#preparing].slice(0, count));
    for (const queue of this.#queues()) queue.splice(0, Infinity, ...queue.filter(({ client }) => !gone.has(client)));
    gone.forEach((client) => this.#preparing.delete(client));
    gone.forEach((client) => client.close());
    if (this.socket.paused) this.#look();
    return gone.size;
  }

  /** Finds the slot anew, as it may have been scaled away or have stalled since. `front`: it has waited already. */
  #route(pending: Pending, front = false): void {
    const slot = this.#options.routing.pick(pending.client, this.#unavailable, pending.note, this.view);
    pending.slot = slot;
    if (slot === undefined) {
      const [member] = this.#free;
      return member ? this.#hand(member, pending) : this.#wait(this.#shared, pending, front);
    }
    const { members: [member], queue } = this.#place(slot);
    if (member && this.#free.has(member)) return this.#hand(member, pending);
    this.#wait(queue, pending, front);
  }

  #unavailable = (slot: number): boolean => {
    const place = this.#places.get(slot);
    // A slot never heard of counts from the address's beginning: at the start its worker is on its way, later it is not.
    const since = place ? place.stalledSince : this.#created;
    if (since === null) return false;
    if (!this.#options.held() && !place?.members.length) return true;
    return performance.now() - since > this.#options.routing.patience;
  };

  #place(slot: number): Place {
    let place = this.#places.get(slot);
    if (!place) this.#places.set(slot, place = { members: [], queue: [], stalledSince: this.#created });
    return place;
  }

  #remove(child: Child): Member | undefined {
    const member = this.#members.get(child);
    if (!member) return undefined;
    this.#members.delete(child);
    this.#free.delete(member);
    this.socket.left(child);
    const place = this.#place(child.slot);
    place.members = place.members.filter((one) => one !== member);
    const [successor] = place.members;
    if (successor && this.#free.delete(successor)) this.#next(successor);
    if (!successor) {
      place.stalledSince = performance.now();
      for (const pending of place.queue.splice(0)) this.#route(pending);
    }
    return member;
  }

  #hand(member: Member, pending: Pending): void {
    this.#free.delete(member);
    member.busy = true;
    this.#place(member.child.slot).stalledSince ??= performance.now();
    const { client, note } = pending;
    member.handover.give({ key: member.key, note, client, answered: (answer) => {
      member.busy = false;
      if (answer === 'taken') {
        client.close();
        if (this.#members.get(member.child) === member) this.#place(member.child.slot).stalledSince = null;
        return this.#next(member);
      }
      // Lost with its worker, which never read from it, or refused: another one takes it.
      if (answer === 'lost') this.leave(member.child);
      else setTimeout(this.#options.faults.guard('connection', () => this.#next(member)), REFUSED);
      this.#route(pending, true);
    } });
  }

  /** Gives a member its next connection, or notes that it is free. */
  #next(member: Member): void {
    this.socket.relieved(this.#held);
    if (member.busy || this.#members.get(member.child) !== member) return;
    const place = this.#place(member.child.slot);
    const pending = (place.members[0] === member ? place.queue.shift() : undefined) ?? this.#shared.shift();
    if (pending) return this.#hand(member, pending);
    this.#free.add(member);
    if (place.members[0] === member) place.stalledSince = null;
  }

  #wait(queue: Pending[], pending: Pending, front: boolean): void {
    const fallback = this.#members.size > 0 ? null : this.#options.fallback();
    if (fallback) fallback(pending.client, (client) => this.acceptAgain(client, pending.note));
    else if (this.#members.size === 0 && !(this.socket.listening && this.#options.held())) pending.client.close();
    else {
      if (front) queue.unshift(pending);
      else queue.push(pending);
      this.#look();
    }
  }

  #look(): void {
    const sweep = this.#options.faults.guard('connections that wait', () => this.#sweep());
    this.#sweeper ??= setInterval(sweep, Math.min(LOOK, this.#options.routing.patience / 4 + 1));
  }

  /** Nobody waits for ever: slots that have stalled give their connections away, and those that waited too long are closed. */
  #sweep(): void {
    const now = performance.now();
    for (const queue of this.#queues()) {
      for (const pending of queue.splice(0)) {
        if (now - pending.since < this.#options.patience) queue.push(pending);
        else pending.client.close();
      }
    }
    for (const [slot, { queue }] of this.#places) {
      if (queue.length > 0 && this.#unavailable(slot)) for (const pending of queue.splice(0)) this.#route(pending);
    }
    this.socket.relieved(this.#held);
    if (this.waiting > 0 || this.socket.paused) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  #queues(): Pending[][] {
    return [this.#shared, ...[...this.#places.values()].map((place) => place.queue)];
  }
}

/** Milliseconds that a worker may answer what it has read before it is seen to take another (test/integration/drain-crowded.test.ts). */
const NONE_TAKEN = 3_000;

/** Resolves when nobody waits any more, when workers take none, and after `most` ms. */
export async function handedOut(acceptors: readonly Acceptor[], most: number): Promise<void> {
  const end = performance.now() + most;
  for (let [least, until] = [Infinity, end]; acceptors.some((one) => one.handing);) {
    const waiting = waitingAt(acceptors);
    if (waiting < least) until = Math.min(end, performance.now() + NONE_TAKEN);
    if (performance.now() >= until) return;
    least = Math.min(least, waiting);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const waitingAt = (acceptors: readonly Acceptor[]): number => acceptors.reduce((sum, { waiting }) => sum + waiting, 0);

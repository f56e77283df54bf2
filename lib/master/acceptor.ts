import type { ChildProcess } from 'node:child_process';
import type { Child } from './child.js';

/** A raw libuv handle (TCP or Pipe) as node:cluster passes it around. */
export interface RawHandle {
  close(callback?: () => void): void;
  getpeername?(out: { address?: string; family?: string; port?: number }): number;
  onconnection?: ((error: number, client?: RawHandle) => void) | undefined;
  fd?: number;
}

/** Chooses the slot that a connection belongs to; undefined: any worker may take it. */
export type Pick = (client: RawHandle) => number | undefined;

interface Pending {
  client: RawHandle;
  slot: number | undefined;
  /** performance.now() */
  since: number;
}

interface Member {
  child: Child;
  /** The connection that the worker has not acknowledged yet. Node's IPC carries one handle at a time anyway. */
  inFlight: (Pending & { sequence: number }) | null;
}

/** Counts down, so that it never meets the numbers that node:cluster gives its own messages. */
let sequence = 0;

/**
 * One listening address: takes its connections in the master and hands each to a worker, as node:cluster's round-robin
 * does, and in its protocol, so the worker's side is Node's own. Ours, because Node's loses connections: what a worker had
 * not acknowledged when it died hangs for ever, and what waits when the last worker leaves is cut (FIELD-NOTES 6).
 */
export class Acceptor {
  /** What identifies the address in node:cluster's messages. */
  key = '';
  readonly handle: RawHandle;
  readonly #closeHandle: () => void;
  /** In the order in which they became free. */
  readonly #free = new Set<Member>();
  readonly #members = new Map<Child, Member>();
  #queue: Pending[] = [];
  readonly #pick: () => Pick | null;
  readonly #held: () => boolean;
  #listening = true;
  /** Milliseconds a connection waits for a worker before it is closed. */
  readonly #patience: number;
  #sweeper: NodeJS.Timeout | undefined;

  constructor(handle: RawHandle, options: { pick: () => Pick | null; held: () => boolean; patience: number }) {
    this.handle = handle;
    this.#pick = options.pick;
    this.#held = options.held;
    this.#patience = options.patience;
    this.#closeHandle = handle.close.bind(handle);
    this.take();
  }

  /** Makes this the receiver of the handle's connections, and keeps the handle open when Node drops its last worker. */
  take(): void {
    this.handle.onconnection = (error, client) => {
      if (!error && client) this.accept(client);
    };
    this.handle.close = () => {
      if (!this.#held()) this.close();
    };
  }

  get members(): number {
    return this.#members.size;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  accept(client: RawHandle): void {
    const slot = this.#pick()?.(client);
    const pending: Pending = { client, slot, since: performance.now() };
    for (const member of this.#free) {
      if (slot !== undefined && member.child.slot !== slot) continue;
      this.#hand(member, pending);
      return;
    }
    this.#wait(pending);
  }

  join(child: Child): void {
    if (this.#members.has(child)) return;
    const member: Member = { child, inFlight: null };
    this.#members.set(child, member);
    this.#next(member);
  }

  /** No more connections to this worker; what it has not acknowledged is still its own. */
  leave(child: Child): void {
    const member = this.#members.get(child);
    if (!member) return;
    this.#members.delete(child);
    this.#free.delete(member);
    if (member.inFlight) departing.set(child, [...departing.get(child) ?? [], { acceptor: this, member }]);
  }

  /** The worker is gone: what it never acknowledged, it never read, so another one takes it. */
  lost(child: Child): void {
    const left = departing.get(child)?.filter((one) => one.acceptor === this).map((one) => one.member) ?? [];
    const member = this.#members.get(child);
    if (member) {
      this.#members.delete(child);
      this.#free.delete(member);
    }
    for (const one of member ? [member, ...left] : left) {
      const pending = one.inFlight;
      one.inFlight = null;
      if (pending) this.#again(pending);
    }
  }

  /** The worker's answer to a connection it was handed. */
  acknowledge(child: Child, number: number, accepted: boolean): boolean {
    const member = this.#members.get(child) ?? departing.get(child)?.find((one) => one.acceptor === this)?.member;
    const pending = member?.inFlight;
    if (!member || !pending || pending.sequence !== number) return false;
    member.inFlight = null;
    if (accepted) pending.client.close();
    else this.#again(pending);
    if (this.#members.has(child)) this.#next(member);
    return true;
  }

  /** Ends listening; what waits is still handed out while there is a worker. */
  stopListening(): void {
    if (!this.#listening) return;
    this.#listening = false;
    this.#closeHandle();
  }

  close(): void {
    this.stopListening();
    for (const { client } of this.#queue.splice(0)) client.close();
    clearInterval(this.#sweeper);
  }

  #hand(member: Member, pending: Pending): void {
    this.#free.delete(member);
    const number = --sequence;
    member.inFlight = { ...pending, sequence: number };
    const { process } = member.child;
    const failed = () => {
      if (member.inFlight?.sequence !== number) return;
      member.inFlight = null;
      this.leave(member.child);
      this.#again(pending);
    };
    if (!process.connected) {
      failed();
      return;
    }
    send(process, { cmd: 'NODE_CLUSTER', act: 'newconn', key: this.key, seq: number }, pending.client, (error) => { if (error) failed(); });
  }

  /** Gives a member its next connection, or notes that it is free. */
  #next(member: Member): void {
    const { slot } = member.child;
    const index = this.#queue.findIndex((pending) => pending.slot === undefined || pending.slot === slot);
    if (index < 0) {
      this.#free.add(member);
      return;
    }
    const [pending] = this.#queue.splice(index, 1) as [Pending];
    this.#hand(member, pending);
  }

  #again(pending: Pending): void {
    for (const member of this.#free) {
      if (pending.slot !== undefined && member.child.slot !== pending.slot) continue;
      this.#hand(member, pending);
      return;
    }
    if (this.#members.size === 0 && !this.#held()) pending.client.close();
    else {
      this.#queue.unshift(pending);
      this.#sweep();
    }
  }

  #wait(pending: Pending): void {
    if (this.#members.size === 0 && !this.#held()) pending.client.close();
    else {
      this.#queue.push(pending);
      this.#sweep();
    }
  }

  /** Nobody waits for ever: the queue is looked through once a second while there is one. */
  #sweep(): void {
    this.#sweeper ??= setInterval(() => {
      const now = performance.now();
      this.#queue = this.#queue.filter((pending) => {
        if (now - pending.since < this.#patience) return true;
        pending.client.close();
        return false;
      });
      if (this.#queue.length > 0) return;
      clearInterval(this.#sweeper);
      this.#sweeper = undefined;
    }, 1_000);
  }
}

/** Members that left their acceptor with a connection not acknowledged yet. */
const departing = new WeakMap<Child, { acceptor: Acceptor; member: Member }[]>();

function send(process: ChildProcess, message: object, handle: RawHandle, done: (error: Error | null) => void): void {
  (process as unknown as { send(message: object, handle: RawHandle, options: object, done: (error: Error | null) => void): boolean })
    .send(message, handle, {}, done);
}

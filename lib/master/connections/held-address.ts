import type { Server } from 'node:net';
import path from 'node:path';
import type { ListeningAddress } from '../../api/child.js';
import type { ClusterMessage } from '../../node/cluster.js';
import { IPV6_ONLY, type Place } from '../../node/listening.js';
import type { RawHandle } from '../../node/raw-sockets.js';
import type { Child } from '../processes/child.js';
import { Acceptor } from './acceptor.js';

/** Milliseconds that the configured address stays when a ready worker closes it: it may be about to die, or only have looked. */
const REGRETS = 5_000;
const LIVING: ReadonlySet<string> = new Set<Child['state']>(['forked', 'booting', 'ready']);

/** What a worker asks for. */
export interface Query {
  /** node:cluster's name for it. */
  key: string;
  place: Place | null;
  /** Of a unix socket. */
  file: string | null;
  child: Child;
  /** How many may wait in the kernel. */
  backlog: number;
}

/** Null for what has no port: a unix socket, a descriptor, UDP. */
export function placeOf({ address = null, port, addressType, fd, flags = 0 }: ClusterMessage): Place | null {
  if (port === undefined || port < 0 || (addressType !== 4 && addressType !== 6) || (typeof fd === 'number' && fd >= 0)) return null;
  return { host: address, port, family: addressType, ipv6Only: (flags & IPV6_ONLY) !== 0 };
}

/** Null for what is no unix socket. */
export const fileOf = ({ address, port, addressType }: ClusterMessage): string | null =>
  port === -1 && addressType === -1 && typeof address === 'string' ? path.resolve(address) : null;

/** Where a server listens that was told this host. */
export function placeOfServer(server: Server, host: string | undefined): Place | null {
  const bound = server.address();
  if (typeof bound === 'string' || !bound) return null;
  return placeOf({ address: host === undefined ? null : bound.address, port: bound.port, addressType: bound.family === 'IPv6' ? 6 : 4 });
}

/** Which families a place takes when it stands for all addresses. */
function wholeFamilies({ host, ipv6Only }: Place): (4 | 6)[] {
  if (host === null) return [4, 6];
  if (host === '::') return ipv6Only ? [6] : [4, 6];
  return host === '0.0.0.0' ? [4] : [];
}

/** Whoever connects to `inner` is let in by `outer`. Two that cover neither each other nor anything of each other are strangers. */
export function covers(outer: Place, inner: Place): boolean {
  if (outer.port !== inner.port) return false;
  if (outer.host === inner.host && outer.ipv6Only === inner.ipv6Only) return true;
  const families = wholeFamilies(inner);
  return (families.length > 0 ? families : [inner.family]).every((family) => wholeFamilies(outer).includes(family));
}

const isSame = (one: Place, other: Place): boolean => covers(one, other) && covers(other, one);

/** The system lets only one of them listen. */
export function overlap(one: Place, other: Place): boolean {
  return covers(one, other) || covers(other, one)
    || (one.port === other.port && wholeFamilies(one).some((family) => wholeFamilies(other).includes(family)));
}

/** One name that workers have asked for an address by. */
interface Name {
  place: Place | null;
  /** Who listens under it, ready or not. */
  users: Set<Child>;
}

/** What is open: an acceptor, or, under SCHED_NONE, a handle that workers share, who accept by themselves. */
export interface SharedHandle {
  readonly handle: RawHandle;
  close(): void;
}

/**
 * A listening address of the cluster, as the master holds it: who listens there, under which names, and what is open for that.
 * An address that another one covers (127.0.0.1 under `::`) has a name there, and no handle of its own: the system would not
 * let both listen.
 */
export class HeldAddress {
  readonly names = new Map<string, Name>();
  /** It has been served by a worker that was ready, or is to be: it outlives its last worker. */
  proven = false;
  /** What the configuration says. */
  configured = false;
  /** performance.now() until which it stays, though nobody listens: a ready worker has closed it, and may be about to listen again. */
  #keptUntil = 0;
  /** What is open; null without a port. */
  bound: Place | null;
  /** Of a unix socket, absolute. */
  readonly file: string | null;
  /** Takes its connections; null where workers accept by themselves. */
  readonly acceptor: Acceptor | null;
  readonly #open: SharedHandle;
  /** What the system has not let it listen on: another process has it. */
  #refused: Place | null = null;

  constructor(open: Acceptor | SharedHandle, bound: Place | null, file: string | null) {
    this.file = file;
    this.acceptor = open instanceof Acceptor ? open : null;
    this.#open = open;
    this.bound = bound;
    if (this.acceptor) this.acceptor.where = () => this.#where;
  }

  get #where(): ListeningAddress['address'] {
    if (this.file !== null) return { path: this.file };
    const { host = null, port } = this.bound ?? {};
    return port === undefined ? {} : host === null ? { port } : { host, port };
  }

  get handle(): RawHandle {
    return this.#open.handle;
  }

  /** Somebody listens here, ready or not. */
  get used(): boolean {
    return [...this.names.values()].some(({ users }) => users.size > 0);
  }

  has(child: Child): boolean {
    return [...this.names.values()].some(({ users }) => users.has(child));
  }

  name(key: string, place: Place | null): Name {
    let name = this.names.get(key);
    if (!name) this.names.set(key, name = { place, users: new Set() });
    return name;
  }

  /** A worker that listens here under that name has become ready: what comes is its own as well. `all`: see {@link fit}. */
  join(child: Child, key: string, all: Iterable<HeldAddress>): void {
    const { bound } = this;
    this.proven = true;
    // It may have closed it again before it could tell.
    this.configured ||= (bound !== null && child.listen.path === undefined && bound.port === child.listen.port)
      || child.addresses.some((one) => one.configured && (bound ? one.port === bound.port : one.path !== undefined));
    this.fit(all);
    this.acceptor?.join(child, key);
  }

  /** Nothing more goes to this worker. False when nothing did. */
  leave(child: Child): boolean {
    const used = [...this.names.values()].map(({ users }) => users.delete(child)).includes(true);
    if (!this.acceptor) return used;
    return this.acceptor.leave(child);
  }

  /** Its server under that name is closed. */
  closed(child: Child, key: string): void {
    const name = this.names.get(key);
    if (!name?.users.delete(child) || this.has(child)) return;
    this.acceptor?.leave(child);
  }

  /**
   * Listens no wider and no narrower than those that are ready have asked for. What is bound for a moment by one that only looks
   * whether a port is free changes nothing; where that one has the rest of what is wanted (`::1`, beside 0.0.0.0, of all),
   * this is to be called again when it is gone. `all` there are; `again`: also if the system has refused it before.
   */
  fit(all: Iterable<HeldAddress>, again = false): void {
    const { bound, acceptor } = this;
    if (!bound || !acceptor) return;
    const wanted = [...this.names.values()].filter(({ users }) => [...users].some(({ readyAt }) => readyAt !== null))
      .flatMap(({ place }) => place ? [place] : []);
    const widest = wanted.find((one) => wanted.every((other) => covers(one, other)));
    if (!widest || isSame(widest, bound)) return;
    if (!again && this.#refused && isSame(this.#refused, widest)) return;
    for (const other of all) if (other !== this && other.bound && overlap(other.bound, widest)) return;
    const now = acceptor.socket.move(widest, bound);
    if (now) this.#refused = now === widest ? null : widest;
    if (now === widest) this.bound = widest;
  }

  /**
   * A worker has closed its server, and if nobody else has the address it is free, as in any process. But not where the worker closes
   * as it is on its way out: then it is kept for the next one, and also where one that is not ready only looked.
   */
  letGo(child: Child, drop: () => void): void {
    if (this.used) return;
    const ifFree = () => { if (!this.used && LIVING.has(child.state)) drop(); };
    if (!this.proven) return ifFree();
    // Nor does one that was told to close regret anything.
    if (child.state !== 'ready') return;
    if (this.configured) {
      this.#keptUntil = performance.now() + REGRETS;
      setTimeout(ifFree, REGRETS).unref();
    // What it says of its leaving comes by a pipe of its own: it has been written before, and may be read after.
    } else setImmediate(() => setImmediate(ifFree));
  }

  get kept(): boolean {
    return performance.now() < this.#keptUntil;
  }

  close(): void {
    this.#open.close();
  }
}

/** What of these is open for a place already, under another name: but a worker that listens there itself is told so. */
export function openFor(place: Place, child: Child, all: Iterable<HeldAddress>): HeldAddress | undefined {
  const open = [...all].find((one) => one.bound && overlap(one.bound, place));
  if (!open || open.has(child)) return undefined;
  // What workers accept from themselves cannot be made wider or narrower any more.
  return open.acceptor || (open.proven && open.bound && covers(open.bound, place)) ? open : undefined;
}

import { readFileSync } from 'node:fs';
import type { ListeningAddress, SlotLoad } from '../../api/child.js';
import type { Balance } from '../../api/control.js';
import type { ConnectionRouting } from '../../api/plugin.js';
import type { Config } from '../../config/schema.js';
import { ClusterError } from '../../kit/errors.js';
import { owned } from '../../kit/faults.js';
import { isObject, show } from '../../kit/misuse.js';
import { sharesPorts } from '../../node/listening.js';
import type { RawHandle } from '../../node/raw-sockets.js';
import type { Child } from '../processes/child.js';
import type { Handover } from './handover.js';

interface Tap extends ConnectionRouting {
  plugin: string;
}

/** A connection that waits in the master. */
export interface Pending {
  client: RawHandle;
  slot: number | undefined;
  note: unknown;
  /** performance.now() */
  since: number;
}

/** A worker that takes connections at one address. */
export interface Member {
  child: Child;
  /** What identifies its listener in node:cluster's messages: workers may have asked for this address under several names. */
  key: string;
  handover: Handover;
  /** It has not answered yet what it was handed last: a worker that is blocked gets no more than one connection. */
  busy: boolean;
}

/** A slot as one address knows it. */
export interface Place {
  /** Oldest first: a successor takes over when its predecessor leaves. */
  members: Member[];
  queue: Pending[];
  /** performance.now() since when it takes nothing: without a worker, or waiting for its acknowledgement. */
  stalledSince: number | null;
}

/** What plugins are told of it. */
export function loadOf(place: Place | undefined): Omit<SlotLoad, 'index'> {
  const member = place?.members[0];
  return { ready: member !== undefined, busy: member?.busy === true, waiting: place?.queue.length ?? 0 };
}

/** What an acceptor tells of itself. */
interface Listened {
  where(): ListeningAddress['address'];
  /** Connections that any worker may take. */
  readonly unpicked: number;
  /** performance.now() since when the one that waits longest does; Infinity: none waits. */
  readonly waitsSince: number;
  load(slot: number): Omit<SlotLoad, 'index'>;
}

/** What goes to a worker with a connection may be as long as this, in characters of JSON: it travels in one message with it. */
const LONGEST_NOTE = 8_192;
/** Milliseconds that a plugin may look at a connection before it lets it go on. */
const UNDECIDED = 30_000;
/** Milliseconds between two log lines about the same plugin. */
const QUIET = 10_000;

/**
 * What all plugins together do with connections: each sees them in the order of the plugins, one of them may choose the
 * slot. It is the acceptor's one routing; what a plugin throws here, or says wrongly, is a log line with its name.
 */
export class Routing {
  /** Decided when all plugins are applied. */
  balance: Balance = { configured: 'round-robin', used: 'round-robin', why: 'nothing is decided yet' };
  /** Somebody looks at connections before they are routed. */
  prepares = false;
  readonly #taps: Tap[] = [];
  #picker: Tap | undefined;
  #alone = false;
  readonly #onFault: (error: ClusterError) => void;
  readonly #slots: () => number;
  readonly #quietUntil = new Map<string, number>();

  /** `slots`: how many there are now. */
  constructor(onFault: (error: ClusterError) => void, slots: () => number) {
    this.#onFault = onFault;
    this.#slots = slots;
  }

  /** @throws ClusterError ERR_CLUSTER_PLUGIN, naming both, where two plugins want to choose; _BALANCE, _ALONE: see {@link decide} */
  add(plugin: string, routing: ConnectionRouting): void {
    const fault = faultOf(routing);
    if (fault) throw new ClusterError('ERR_CLUSTER_PLUGIN', `plugin "${plugin}", routeConnections: ${fault}`);
    const tap: Tap = { ...bound(routing), plugin };
    this.#accepted(tap, this.balance.used);
    if (tap.pick) {
      if (this.#picker) throw new ClusterError('ERR_CLUSTER_PLUGIN',
        `plugins "${this.#picker.plugin}" and "${plugin}" both pick the slots of connections (routeConnections): switch one of them off`);
      this.#picker = tap;
    }
    this.prepares ||= tap.prepare !== undefined;
    this.#taps.push(tap);
  }

  /** Milliseconds; for ever where nobody picks, as then no slot keeps any. */
  get patience(): number {
    return this.#picker?.patience ?? Infinity;
  }

  /** Undefined, so that any worker may take it, also where the plugin fails or names what is no slot. */
  pick(client: RawHandle, unavailable: (slot: number) => boolean, note: unknown, at: ListeningAddress): number | undefined {
    if (!this.#picker?.pick) return undefined;
    let slot: unknown;
    try {
      slot = this.#picker.pick(client, unavailable, note, at);
    } catch (error) {
      return this.#fault(this.#picker, 'pick', error);
    }
    const count = this.#slots();
    if (slot === undefined) return undefined;
    if (typeof slot === 'number' && Number.isInteger(slot) && slot >= 0 && slot < count) return slot;
    if (slot instanceof Promise) slot.catch(() => {});
    return this.#fault(this.#picker, 'pick', new Error(`expected a slot from 0 to ${count - 1} or undefined, found ${show(slot)}`));
  }

  /** From one plugin to the next; the notes of all go to the worker. One that fails is no reason to let a connection through. */
  prepare(client: RawHandle, admit: (note?: unknown) => void, drop: () => void, at: ListeningAddress): void {
    const from = (first: number, note: unknown): void => {
      const next = this.#taps.findIndex(({ prepare }, index) => index >= first && prepare !== undefined);
      const tap = this.#taps[next];
      if (!tap?.prepare) return admit(note);
      let decided = false;
      let limit: NodeJS.Timeout | undefined;
      const once = (then: () => void) => {
        if (decided) return;
        decided = true;
        clearTimeout(limit);
        then();
      };
      const failed = (error: unknown) => once(() => {
        this.#fault(tap, 'prepare', error);
        client.close();
        drop();
      });
      try {
        const admitted = (own?: unknown) => once(() => from(next + 1, this.#together(tap, note, own)));
        const result: unknown = tap.prepare(client, admitted, () => once(drop), at);
        if (result instanceof Promise) result.catch(failed);
        if (!decided) limit = setTimeout(() => failed(new Error(`nothing was decided within ${UNDECIDED} ms`)), UNDECIDED).unref();
      } catch (error) {
        failed(error);
      }
    };
    from(0, undefined);
  }

  /** An acceptor, as plugins see it. */
  view(acceptor: Listened): ListeningAddress {
    const count = this.#slots;
    return {
      get address() { return acceptor.where(); },
      get waiting() { return acceptor.unpicked; },
      get longestWait() { return Math.max(0, performance.now() - acceptor.waitsSince); },
      get slots() { return Array.from({ length: count() }, (_, index) => ({ index, ...acceptor.load(index) })); },
    };
  }

  /**
   * Another cluster of this process has decided already.
   * @throws ClusterError ERR_CLUSTER_BALANCE: connections are routed, which the master would not see
   */
  give(used: Balance['used'], why: string): void {
    if (this.#taps[0]) this.#accepted(this.#taps[0], used);
    this.balance = { ...this.balance, used, why };
  }

  /** Whether the master accepts what a plugin wants to see. */
  #accepted(tap: Tap, used: Balance['used']): void {
    if (this.#alone) {
      throw new ClusterError('ERR_CLUSTER_ALONE',
        `plugin "${tap.plugin}" routes connections, and with --workers 0 the app itself accepts them`);
    }
    if (used !== 'round-robin') throw new ClusterError('ERR_CLUSTER_BALANCE', `${routes(tap)}, found "${used}"`);
  }

  /** What two plugins have noted: objects have room for each other, of anything else the last one holds. */
  #together(tap: Tap, before: unknown, own: unknown): unknown {
    if (own === undefined) return before;
    return this.#noteOf(tap, isObject(before) && isObject(own) ? { ...before, ...own } : own) ?? before;
  }

  #noteOf(tap: Tap, note: unknown): unknown {
    try {
      const { length = 0 } = JSON.stringify(note) ?? '';
      if (length <= LONGEST_NOTE) return note;
      throw new Error(`a note has at most ${LONGEST_NOTE} characters of JSON, found ${length}`);
    } catch (error) {
      return this.#fault(tap, 'prepare', error);
    }
  }

  #fault({ plugin }: Tap, where: string, cause: unknown): undefined {
    const now = performance.now();
    if (now < (this.#quietUntil.get(plugin) ?? 0)) return;
    this.#quietUntil.set(plugin, now + QUIET);
    const text = cause instanceof Error ? cause.message : String(cause);
    this.#onFault(new ClusterError('ERR_CLUSTER_HOOK', `plugin "${plugin}" failed in ${where} of routeConnections: ${text}`, { cause }));
  }

  /**
   * How connections are to reach workers, now that all plugins are there.
   * @throws ClusterError ERR_CLUSTER_BALANCE: `reuse-port` before Node 22.12 or outside Linux; connections are routed that the
   * master never sees. ERR_CLUSTER_ALONE: it accepts none
   */
  decide({ balance: configured, path }: Decided, facts: Facts = {}): void {
    this.#alone = facts.alone === true;
    const [first] = this.#taps;
    const choose = (used: Balance['used'], why: string) => { this.balance = { configured, used, why }; };
    if (first) this.#accepted(first, configured === 'auto' ? 'round-robin' : configured);
    const routed = first && routes(first);
    if (configured === 'round-robin' || configured === 'os') return choose(configured, 'as configured, or as a plugin needs it');
    const lack = lackOf(facts);
    if (lack && configured === 'reuse-port') {
      throw new ClusterError('ERR_CLUSTER_BALANCE', `balance: "reuse-port" ${lack}; use "round-robin", "os" or "auto"`);
    }
    const single = path !== undefined ? 'a unix socket' : facts.inherited ? 'an inherited socket' : undefined;
    const instead = routed ?? (lack ? `"reuse-port" ${lack}` : single && `${single} cannot be one for each slot`);
    if (instead) return choose('round-robin', instead);
    choose('reuse-port', 'each slot has a socket that the master keeps, so that nothing is lost with it, the fastest way; '
      + `net.ipv4.tcp_migrate_req, which does without that, is ${migrates() ?? 'unknown'}`);
  }
}

type Decided = Pick<Config, 'balance' | 'path'>;

/** Of the system; by itself it is asked. */
interface Facts {
  node?: string;
  platform?: string;
  /** The configured address is a socket that this process has been started with. */
  inherited?: boolean;
  /** The app runs in this very process. */
  alone?: boolean;
}

const routes = ({ plugin }: Tap): string =>
  `plugin "${plugin}" routes connections, which the master sees with \`balance: "round-robin"\` alone`;

/** What `reuse-port` lacks here. */
function lackOf({ node = process.versions.node, platform = process.platform }: Facts): string | undefined {
  if (platform !== 'linux') return `needs Linux, this is ${platform}`;
  const [major = 0, minor = 0] = node.split('.').map(Number);
  if (major < 22 || (major === 22 && minor < 12)) return `needs Node.js 22.12 or later, this is ${node}`;
  return node !== process.versions.node || sharesPorts() ? undefined : 'needs a system that lets two sockets listen on one port';
}

/** Whether the kernel gives what waits at a socket that closes to others of its port (Linux 5.14, for each network namespace). */
function migrates(): string | undefined {
  try {
    return readFileSync('/proc/sys/net/ipv4/tcp_migrate_req', 'latin1').trim();
  } catch {
    return undefined;
  }
}

type PickSlot = NonNullable<ConnectionRouting['pick']>;
type Prepare = NonNullable<ConnectionRouting['prepare']>;
function faultOf(routing: unknown): string | undefined {
  if (!isObject(routing)) return `expected { pick, patience, prepare }, found ${show(routing)}`;
  for (const name of ['pick', 'prepare']) {
    const value = routing[name];
    if (value !== undefined && typeof value !== 'function') return `expected a function as ${name}, found ${show(value)}`;
  }
  const { patience } = routing;
  if (patience === undefined || (typeof patience === 'number' && patience >= 0)) return undefined;
  return `expected milliseconds as patience, found ${show(patience)}`;
}

/** Methods of a plugin's own object keep their `this`. */
function bound(routing: ConnectionRouting): ConnectionRouting {
  return {
    patience: routing.patience,
    ...(routing.pick ? { pick: owned<Parameters<PickSlot>, ReturnType<PickSlot>>((...args) => routing.pick?.(...args)) } : {}),
    ...(routing.prepare ? { prepare: owned<Parameters<Prepare>, void>((...args) => routing.prepare?.(...args)) } : {}),
  };
}

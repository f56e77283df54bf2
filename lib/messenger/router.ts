import { unlink } from 'node:fs';
import path from 'node:path';
import { inspect } from 'node:util';
import type { BroadcastOptions, CarryBroadcasts, Target } from '../api/messenger.js';
import type { BusPlace, ChildRole, Envelope, Member, Roster } from '../ipc/messages.js';
import { ClusterError, isErrorData, wire } from '../kit/errors.js';
import { isObject, show } from '../kit/misuse.js';

const prefix = [process.pid, Date.now(), Math.floor(Math.random() * 36 ** 4)].map((part) => `${part.toString(36)}.`).join('');
let serial = 0;
/** Of a message that begins in this process: no two have the same, in whichever processes of whichever hosts, but by chance. */
export const nextId = (): string => prefix + (++serial).toString(36);

/** To others a worker in no slot has one that nobody writes to: below 0 there is the agent. */
export const messageSlot = ({ role, slot }: { role: ChildRole; slot: number }): number =>
  role === 'worker' && slot < 0 ? 2 ** 31 - 1 : slot;

/** Where an answer goes: back to the process that asked. */
export function replyTo(envelope: Envelope): Pick<Envelope, 'to' | 'receiverPid'> {
  return envelope.from === 'master' || envelope.from === 'parent' ? { to: envelope.from } : { receiverPid: envelope.senderPid };
}

const GROUPS: ReadonlySet<unknown> = new Set<Target>(['app', 'agent', 'master', 'parent']);

/** Not every caller is checked by TypeScript, and a pid may come as a text, as Egg's messenger takes it. */
export function address(target: Target): Pick<Envelope, 'to' | 'receiverPid'> {
  if (GROUPS.has(target)) return { to: target as string };
  if (Number(target) > 0) return { receiverPid: Number(target) };
  const slot = (target as { slot?: unknown } | null)?.slot;
  if (Number.isInteger(slot)) return { to: 'app', receiverPid: `slot:${slot as number}` };
  throw new ClusterError('ERR_CLUSTER_NO_RECEIVER',
    `expected a process id, { slot }, "app", "agent", "master" or "parent", found ${inspect(target)}`);
}

export const refused = (call: string, expected: string, found: unknown): ClusterError =>
  new ClusterError('ERR_CLUSTER_USAGE', `messenger${call && `.${call}`}: expected ${expected}, found ${show(found)}`);

/** What is no message to others is refused where it is sent: who heard it would cut this process off. @throws ClusterError */
export function checkMessage(action: unknown, meta: unknown): void {
  if (!isName(action)) throw refused('', `a text of at most ${LONGEST} characters as the action`, action);
  if (meta !== undefined && !isObject(meta)) throw refused(`("${action as string}")`, 'an object as its `meta`', meta);
}

/** Whether who sends may go on, once a broadcast with a scope is on its way to other hosts. @throws ClusterError */
export function carried(envelope: Envelope, { scope, meta }: BroadcastOptions, carry: CarryBroadcasts | null): boolean {
  checkMessage(envelope.action, meta);
  if (scope !== 'all') throw refused('broadcast', '"all" as its scope', scope);
  if (!carry) throw refused('broadcast', 'the plugin "hosts" to be on for this scope', scope);
  return carry(meta === undefined ? envelope : { ...envelope, meta });
}

/** A process that messages can be delivered to. */
export interface Recipient {
  pid: number;
  /** Stable index of a worker, -1 for the agent. */
  slot: number;
  ready: boolean;
  /** False when it has not read for so long that nothing more is kept for it. @throws Error where it cannot be sent */
  deliver(envelope: Envelope): boolean;
}

/** The processes as they are now; the master's groups give them. */
export interface Directory {
  workers(): Recipient[];
  agent(): Recipient | null;
  master(envelope: Envelope): void;
  parent(envelope: Envelope): void;
  /** A tap of the `message` hook may drop an envelope by returning false. */
  allow(envelope: Envelope): boolean;
}

/** Whom a message is for that does not say it, by who sends it: Egg's rule. */
const DEFAULT_TO: Readonly<Record<string, string>> = { app: 'agent', agent: 'app', parent: 'master', master: 'app' };

/** Where each envelope that passes through the master goes. Pure: it knows no process, only the directory. */
export class Router {
  readonly #directory: Directory;

  constructor(directory: Directory) {
    this.#directory = directory;
  }

  /** `from`: the group of the sender; `senderPid`: its process. */
  route(message: unknown, from: 'app' | 'agent' | 'master' | 'parent', senderPid: number): void {
    const envelope = toEnvelope(message);
    if (!envelope) return;
    envelope.from = from;
    envelope.senderPid = senderPid;
    if (envelope.to === undefined && envelope.receiverPid === undefined) envelope.to = DEFAULT_TO[from];
    if (!this.#directory.allow(envelope)) return;
    const delivered = this.#deliver(envelope);
    if (!delivered && envelope.request !== undefined) this.#refuse(envelope);
  }

  #deliver(envelope: Envelope): boolean {
    const directory = this.#directory;
    const { to, receiverPid } = envelope;
    if (to === 'master') return directory.master(envelope), true;
    if (to === 'parent') return directory.parent(envelope), true;
    const group = this.#group(to);
    const chosen = receiverPid === undefined ? group : pick(group, receiverPid);
    return chosen.filter((one) => one.deliver(envelope)).length > 0;
  }

  /** The children that `to` names; all of them where a pid alone says whom a message is for. */
  #group(to: string | undefined): Recipient[] {
    const workers = to !== 'agent' && isChildren(to) ? this.#directory.workers() : [];
    const agent = to !== 'app' && isChildren(to) ? this.#directory.agent() : null;
    return agent ? [...workers, agent] : workers;
  }

  #refuse(envelope: Envelope): void {
    const whom = envelope.receiverPid ?? envelope.to;
    const hint = envelope.to === 'agent' ? ' (it is not running at the moment; where none is configured, set `agent: true`)' : '';
    const error = wire(new ClusterError('ERR_CLUSTER_NO_RECEIVER', `nobody is there to take "${envelope.action}": ${whom}${hint}`));
    this.#deliver({ action: envelope.action, from: 'master', reply: envelope.request, error, ...replyTo(envelope) });
  }
}

/** `all`, or none at all: workers and agent. */
export const isChildren = (to: string | undefined): boolean => to === undefined || to === 'all' || to === 'app' || to === 'agent';

/** Who of a group `receiverPid` means. */
export function pick<One extends Pick<Recipient, 'pid' | 'slot' | 'ready'>>(group: readonly One[], receiver: number | string): One[] {
  if (group.length === 0) return [];
  if (receiver === 'random') {
    const ready = group.filter((one) => one.ready);
    const choice = ready.length > 0 ? ready : group;
    return [choice[Math.floor(Math.random() * choice.length)] as One];
  }
  if (typeof receiver === 'string' && receiver.startsWith('slot:')) {
    // While its worker is replaced a slot has two processes: the one that serves it, else the one that will.
    const slot = group.filter((one) => one.slot === Number(receiver.slice(5)));
    return [slot.find((one) => one.ready) ?? slot[0]].filter((one) => one !== undefined);
  }
  // A pid may come as a text, as Egg's messenger takes it.
  return group.filter((one) => one.pid === Number(receiver));
}

/** Characters of an action, a group, a receiver. */
const LONGEST = 1_024;
const isName = (value: unknown): boolean => typeof value === 'string' && value.length <= LONGEST;
const isNumber = (value: unknown): boolean => value === undefined || Number.isSafeInteger(value);

/**
 * A bare string is an action and its own data, as Egg has it; anything else that is no envelope is foreign and left alone. Of
 * one the fields are taken that have a meaning, and only where they are what they have to be: any code may send anything.
 */
function toEnvelope(message: unknown): Envelope | null {
  if (typeof message === 'string') return { action: message, data: message };
  if (typeof message !== 'object' || message === null) return null;
  const { action, data, to, receiverPid, request, reply, error, id, meta, ...others } = message as Partial<Envelope>;
  const known = isName(action) && (to === undefined || isName(to)) && isNumber(request) && isNumber(reply)
    && (id === undefined || isName(id)) && (meta === undefined || isObject(meta))
    && (receiverPid === undefined || typeof receiverPid === 'number' || isName(receiverPid));
  if (!known) return null;
  return {
    ...others,
    action: action as string,
    id: id ?? nextId(),
    ...(meta === undefined ? {} : { meta }),
    ...('data' in message ? { data } : {}),
    ...(to === undefined ? {} : { to }),
    ...(receiverPid === undefined ? {} : { receiverPid }),
    ...(request === undefined ? {} : { request }),
    ...(reply === undefined ? {} : { reply }),
    ...(error === undefined ? {} : { error: isErrorData(error) ? error : wire(error) }),
  };
}

/** A child, as those are told of it who speak past the master. */
export interface Colleague extends Pick<Recipient, 'pid' | 'slot' | 'ready'> {
  start(place: BusPlace): void;
  tell(roster: Roster): void;
}

export interface Staff extends Pick<Roster, 'slots' | 'complete' | 'tapped'> {
  colleagues: Colleague[];
}

/**
 * In the master: introduces the children to each other, once one of them wants to speak past it, and then to each that comes.
 * From there on it only says who is there.
 */
export class Introductions {
  #place: BusPlace | null = null;
  readonly #listens = new Map<number, boolean>();
  readonly #started = new Set<number>();
  readonly #staff: () => Staff;
  readonly #makeDir: () => string;
  readonly #impossible: (reason: string) => void;
  #due = false;

  /** `makeDir` throws where there can be none, of which `impossible` is told. */
  constructor(staff: () => Staff, makeDir: () => string, impossible: (reason: string) => void) {
    this.#staff = staff;
    this.#makeDir = makeDir;
    this.#impossible = impossible;
  }

  /** One wants to speak: all are told where. */
  join(): void {
    if (this.#place) return;
    this.#place = this.#open();
    this.changed();
  }

  listens(pid: number, listens: boolean): void {
    this.#listens.set(pid, listens);
    this.changed();
  }

  gone(pid: number): void {
    const { dir = null } = this.#place ?? {};
    if (dir !== null && this.#listens.get(pid)) unlink(path.join(dir, String(pid)), () => {});
    this.#listens.delete(pid);
    this.#started.delete(pid);
    this.changed();
  }

  /** Somebody came, became ready, leaves or went: they are told, at the end of this turn. */
  changed(): void {
    if (!this.#place || this.#due) return;
    this.#due = true;
    setImmediate(() => {
      this.#due = false;
      this.#tell();
    });
  }

  #tell(): void {
    const { colleagues, ...rest } = this.#staff();
    const members = colleagues.map(({ pid, slot, ready }): Member => ({ pid, slot, ready, listens: this.#listens.get(pid) ?? null }));
    for (const one of colleagues) {
      if (!this.#started.has(one.pid)) one.start(this.#reopened());
      this.#started.add(one.pid);
      if (this.#place?.dir !== null) one.tell({ members, ...rest });
    }
  }

  #open(): BusPlace {
    try {
      return { dir: this.#makeDir(), token: process.getBuiltinModule('node:crypto').randomBytes(32) };
    } catch (error) {
      const reason = (error as Error).message;
      this.#impossible(reason);
      return { dir: null, token: Buffer.alloc(0), reason };
    }
  }

  /** A cleaner of temporary files may have taken it since. */
  #reopened(): BusPlace {
    try {
      if (this.#place?.dir !== null) this.#makeDir();
    } catch {
      // Whoever cannot listen there says so.
    }
    return this.#place as BusPlace;
  }
}

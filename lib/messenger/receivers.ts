import type { Envelope, Member, Roster } from '../ipc/messages.js';
import { ClusterError } from '../kit/errors.js';
import type { Limit } from './parcels.js';
import { isChildren, pick } from './router.js';

/** Who is there, by the master's roster, and who of them an envelope is for. */
export class Receivers {
  readonly members: readonly Member[];
  readonly #roster: Roster;
  /** By a pid, or a group, alone: what was found once holds as long as the roster. */
  readonly #meant: Map<unknown, readonly Member[]>;

  constructor(roster: Roster) {
    this.#roster = roster;
    this.members = roster.members;
    this.#meant = new Map<unknown, readonly Member[]>(roster.members.map((member) => [member.pid, [member]]));
  }

  /** Null: they are still to come. */
  of({ to, receiverPid }: Envelope): readonly Member[] | null {
    const { members, slots, complete } = this.#roster;
    if (!isChildren(to)) return [];
    if (!complete && to !== 'agent') return null;
    const meant = to === undefined ? typeof receiverPid === 'number' && this.#meant.get(receiverPid)
      : receiverPid === undefined && this.#meant.get(to);
    if (meant) return meant;
    const isAll = to === undefined || to === 'all';
    const group = isAll ? members : members.filter(({ slot }) => to === 'agent' ? slot < 0 : slot >= 0);
    const chosen = receiverPid === undefined ? group : pick(group, receiverPid);
    if (chosen.length > 0) {
      if (receiverPid === undefined) this.#meant.set(to, chosen);
      return chosen;
    }
    if (to === 'agent') return null;
    const slot = /^slot:(\d+)$/.exec(String(receiverPid))?.[1];
    return (slot !== undefined && Number(slot) < slots) || receiverPid === 'random' ? null : [];
  }
}

/** A message that waits until there is somebody to take it. */
export interface Late {
  envelope: Envelope;
  frame: Buffer;
}

const whom = ({ to, receiverPid }: Envelope): string => `${receiverPid ?? ''} ${to ?? ''}`;

/** What is for somebody who is not there yet, in order. */
export class Latecomers {
  readonly #limit: Limit;
  readonly #dropped: (envelope: Envelope) => void;
  #all: Late[] = [];
  #bytes = 0;
  readonly #waiting = new Set<string>();

  constructor(limit: Limit, dropped: (envelope: Envelope) => void) {
    this.#limit = limit;
    this.#dropped = dropped;
  }

  get count(): number {
    return this.#all.length;
  }

  /** Others wait that are for the same: it goes behind them. */
  waitsFor(envelope: Envelope): boolean {
    return this.#all.length > 0 && this.#waiting.has(whom(envelope));
  }

  /** False: there is no room. @throws ClusterError ERR_CLUSTER_NOT_READING, as Parcels does */
  keep(late: Late): boolean {
    const { envelope, frame } = late;
    if (this.#all.length > 0 && this.#bytes + frame.length > this.#limit.outbox) {
      if (envelope.request !== undefined || this.#limit.onFull === 'error') {
        throw new ClusterError('ERR_CLUSTER_NOT_READING',
          `${envelope.receiverPid ?? envelope.to} is not there yet, and more are not kept for it (messages.outbox)`);
      }
      this.#dropped(envelope);
      return false;
    }
    this.push(late);
    return true;
  }

  /** One that was kept before. */
  push(late: Late): void {
    this.#all.push(late);
    this.#bytes += late.frame.length;
    this.#waiting.add(whom(late.envelope));
  }

  takeAll(): Late[] {
    this.#waiting.clear();
    this.#bytes = 0;
    return this.#all.splice(0);
  }
}

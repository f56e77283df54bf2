import type { ChildView, Logger } from '../../lib/index.js';
import type { Failure, Leading } from './messages.js';

/** Milliseconds that a real client may take until it is ready. */
const READY = 60_000;
/** One that stands by is in no slot, and the last that may lead. */
const placeOf = ({ slot }: Pick<ChildView, 'slot'>): number => slot < 0 ? Infinity : slot;

/** Milliseconds that the first leader is waited for while workers of lower slots are still starting. */
const LOWER = 1_000;
/** Milliseconds after a real client that could not be made: the first time, and at most. */
const PAUSE = 250;
const LONGEST_PAUSE = 30_000;
/** Names of one process. */
const NAMES = 1_000;

interface Member {
  child: ChildView;
  leads: boolean;
  leaving: boolean;
  /** How often in a row it could not make the real client, and until when it is not asked again. */
  failed: number;
  rests: number;
}

interface Farewell {
  member: Member;
  done(): void;
}

interface Group {
  name: string;
  term: number;
  since: number;
  members: Map<number, Member>;
  leader: Member | null;
  /** It is making the real client. */
  taking: Member | null;
  timer: NodeJS.Timeout | null;
  /** When it looks again, as performance.now() tells it. */
  due: number;
  /** Everybody who has led. */
  led: Set<number>;
  /** Who wants to go, and waits for the leadership to be somebody else's. */
  farewells: Farewell[];
}

/** What the master gives it. */
export interface LeadershipNeeds {
  children(): ChildView[];
  /** All of them are about to end. */
  readonly closing: boolean;
  readonly logger: Pick<Logger, 'warn' | 'debug'>;
  /** Guards what a timer calls. */
  guard(what: string, task: () => void): () => void;
}

type Data = Readonly<Record<string, unknown>>;
const isMaybeText = (value: unknown): boolean => value === undefined || typeof value === 'string';
/** What a child answers is looked at, as all that it says. */
const isAnswer = (value: unknown): boolean => value === null || (typeof value === 'object'
  && typeof (value as Data).name === 'string' && typeof (value as Data).message === 'string'
  && ['stack', 'code', 'detail'].every((field) => isMaybeText((value as Data)[field])));

const isAlive = ({ state }: ChildView): boolean => state !== 'killing' && state !== 'exited';

/**
 * Who makes the real client of each name: the agent where it shares that name and is ready, else whoever leads already, else the
 * lowest ready slot. Another one takes over while the leader is still there, whenever that closes in order.
 */
export class Leadership {
  readonly #needs: LeadershipNeeds;
  readonly #groups = new Map<string, Group>();
  readonly #leaving = new Set<number>();

  constructor(needs: LeadershipNeeds) {
    this.#needs = needs;
  }

  join(child: ChildView, { name, leads }: { name: string; leads: boolean }): Leading {
    const group = this.#groups.get(name) ?? this.#group(name);
    const taken = [...this.#groups.values()].filter(({ members }) => members.has(child.pid)).length;
    if (taken >= NAMES) throw new Error(`one process shares clients of at most ${NAMES} names`);
    group.members.set(child.pid, { child, leads, leaving: this.#leaving.has(child.pid), failed: 0, rests: 0 });
    // Who asks is answered first.
    setImmediate(this.#needs.guard(`the leader of "${name}"`, () => this.#settle(group)));
    return this.#leading(group);
  }

  /** Resolves once it may go. */
  leave(child: ChildView, name: string): Promise<null> {
    const group = this.#groups.get(name);
    const member = group?.members.get(child.pid);
    if (!group || !member) return Promise.resolve(null);
    member.leaving = true;
    return new Promise((resolve) => {
      group.farewells.push({ member, done: () => resolve(null) });
      this.#settle(group);
    });
  }

  /** It closes, and goes on sharing until it says so of each name. */
  closing(child: ChildView): void {
    this.#leaving.add(child.pid);
    for (const group of this.#groups.values()) {
      const member = group.members.get(child.pid);
      if (!member) continue;
      member.leaving = true;
      this.#settle(group);
    }
  }

  ready(): void {
    for (const group of this.#groups.values()) this.#settle(group);
  }

  gone(child: ChildView): void {
    this.#leaving.delete(child.pid);
    for (const group of this.#groups.values()) {
      if (!group.members.has(child.pid) && !group.led.has(child.pid)) continue;
      this.#remove(group, child.pid);
      // All who might have asked it something; else those who lead, or have led.
      const hasLed = group.led.delete(child.pid);
      const told = [...group.members.values()].filter((member) => hasLed || group.led.has(member.child.pid));
      for (const member of told) member.child.channel.send('shared.gone', { name: group.name, pid: child.pid });
      this.#settle(group);
    }
  }

  end(): void {
    for (const group of this.#groups.values()) this.#forget(group);
  }

  #group(name: string): Group {
    const group: Group = {
      name, term: 0, since: performance.now(), members: new Map(), leader: null, taking: null, timer: null, due: 0, led: new Set(),
      farewells: [],
    };
    this.#groups.set(name, group);
    return group;
  }

  #forget(group: Group): void {
    if (group.timer) clearTimeout(group.timer);
    if (this.#groups.get(group.name) === group) this.#groups.delete(group.name);
  }

  #remove(group: Group, pid: number): void {
    const member = group.members.get(pid);
    if (!member) return;
    group.members.delete(pid);
    if (group.leader === member) group.leader = null;
    // A real client that is being made there is not waited for: its answer counts no more.
    if (group.taking === member) group.taking = null;
  }

  #leading({ name, term, leader }: Group): Leading {
    return { name, term, pid: leader?.child.pid ?? null };
  }

  /** What is to be done now; called after whatever may change that. */
  #settle(group: Group): void {
    this.#release(group);
    if (group.members.size === 0) return this.#forget(group);
    if (group.taking) return;
    const wanted = this.#wanted(group);
    if (wanted && wanted !== group.leader) void this.#take(group, wanted);
  }

  /** Lets those go who lead no more, and then who leads where nobody is left who could need it. */
  #release(group: Group): void {
    const holds = ({ member }: Farewell) => group.leader === member && group.members.get(member.child.pid) === member;
    const [leading, free] = [group.farewells.filter(holds), group.farewells.filter((one) => !holds(one))];
    for (const farewell of free) this.#letGo(group, farewell);
    if (group.members.size <= 1) for (const farewell of leading) this.#letGo(group, farewell);
  }

  #letGo(group: Group, farewell: Farewell): void {
    const { member, done } = farewell;
    group.farewells.splice(group.farewells.indexOf(farewell), 1);
    if (group.members.get(member.child.pid) === member) this.#remove(group, member.child.pid);
    done();
  }

  #wanted(group: Group): Member | null {
    // Nobody takes over at a stop: who leads goes last.
    if (this.#needs.closing && group.leader && isAlive(group.leader.child)) return group.leader;
    const now = performance.now();
    const all = [...group.members.values()].filter(({ child, leads, leaving }) => leads && !leaving && isAlive(child));
    const able = all.filter(({ rests }) => rests <= now);
    if (able.length < all.length) this.#later(group, Math.min(...all.map(({ rests }) => rests).filter((rests) => rests > now)) - now + 1);
    const agent = able.find(({ child }) => child.role === 'agent');
    const { leader } = group;
    const stays = leader !== null && able.includes(leader) ? leader : null;
    if (agent && (agent.child.state === 'ready' || !leader)) return agent;
    if (stays) return stays;
    const inOrder = able.filter(({ child }) => child.role === 'worker')
      .sort((a, b) => a.failed - b.failed || placeOf(a.child) - placeOf(b.child) || b.child.generation - a.child.generation);
    const ready = inOrder.find(({ child }) => child.state === 'ready');
    if (ready) return ready;
    const [first] = inOrder;
    return leader === null && first && !this.#waits(group, first) ? first : null;
  }

  /** At the start nobody is ready, and the workers come in any order. */
  #waits(group: Group, first: Member): boolean {
    const left = group.since + LOWER - performance.now();
    const lower = this.#needs.children().some((one) => one.role === 'worker' && placeOf(one) < placeOf(first.child)
      && !group.members.has(one.pid) && (one.state === 'forked' || one.state === 'booting'));
    if (left <= 0 || !lower) return false;
    this.#later(group, left);
    return true;
  }

  /** Looks again after so many ms, or sooner where that was wanted before. */
  #later(group: Group, delay: number): void {
    const due = performance.now() + delay;
    if (group.timer && group.due <= due) return;
    if (group.timer) clearTimeout(group.timer);
    group.due = due;
    group.timer = setTimeout(this.#needs.guard(`the leader of "${group.name}"`, () => {
      group.timer = null;
      this.#settle(group);
    }), delay).unref();
  }

  async #take(group: Group, member: Member): Promise<void> {
    const { name } = group;
    const { channel, pid } = member.child;
    const term = ++group.term;
    group.taking = member;
    group.led.add(pid);
    const members = [...group.members.keys()];
    let failure: Failure | null;
    try {
      failure = await channel.request('shared.lead', { name, term, members }, { timeout: READY, valid: isAnswer });
    } catch (error) {
      const { name: kind, message, code } = error as Error & { code?: string };
      // Its end is told by itself, and nobody is asked before that.
      if (code === 'ERR_CLUSTER_CHANNEL_CLOSED') return;
      failure = { name: kind, message, ...(code === undefined ? {} : { code }) };
    }
    if (group.taking !== member) return;
    group.taking = null;
    if (failure) this.#failed(group, member, failure);
    else this.#leads(group, member);
    this.#settle(group);
  }

  #leads(group: Group, member: Member): void {
    group.leader = member;
    member.failed = 0;
    this.#needs.logger.debug(`the client "${group.name}" is led by pid ${member.child.pid} (term ${group.term})`);
    this.#announce(group);
  }

  #failed(group: Group, member: Member, failure: Failure): void {
    const pause = Math.min(PAUSE * 2 ** member.failed++, LONGEST_PAUSE) * (1 + Math.random() / 2);
    member.rests = performance.now() + pause;
    this.#needs.logger.warn(`the client "${group.name}" cannot be made in pid ${member.child.pid}: ${failure.message}`);
    if (!group.leader) this.#announce(group, failure);
  }

  #announce(group: Group, error?: Failure): void {
    const leading = { ...this.#leading(group), ...(error ? { error } : {}) };
    for (const { child } of group.members.values()) child.channel.send('shared.leading', leading);
  }
}

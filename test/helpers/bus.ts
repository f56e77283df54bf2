import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Envelope, Member, Roster } from '../../lib/ipc/messages.js';
import { Drops } from '../../lib/kit/logger.js';
import { Bus } from '../../lib/messenger/bus.js';
import type { Limit } from '../../lib/messenger/parcels.js';
import type { Scope } from './cluster.js';

// Each bus has a listener for the end of its process, and here they are all in one.
process.setMaxListeners(0);

export const TOKEN = Buffer.alloc(32, 7);

/** One process on a bus, as a test sees it: they are all in the test's own process, on real sockets. */
export interface Station {
  bus: Bus;
  member: Member;
  /** What reached it, in order; answers too. */
  got: Envelope[];
  /** What it gave to the master. */
  relayed: Envelope[];
  lines: string[];
  /** How it takes what comes. */
  take: (envelope: Envelope, answer: (answer: Envelope) => void) => Promise<unknown> | void;
  /** Resolves when as many have reached it. */
  hears(count: number): Promise<Envelope[]>;
}

/** Stations by their slots (-1: the agent), and the master's part of it: who is told of whom. */
export class Network {
  readonly dir: string;
  readonly stations: Station[] = [];
  roster: Roster = { members: [], slots: 0, complete: true, tapped: [] };
  readonly #limit: Limit;
  #pid = 1_000_000;

  constructor(scope: Scope, limit: Partial<Limit> = {}) {
    this.dir = mkdtempSync(path.join(os.tmpdir(), 'hb-'));
    // The bus keeps no process up.
    const stay = setInterval(() => {}, 1_000);
    scope.after(() => {
      clearInterval(stay);
      rmSync(this.dir, { recursive: true, force: true });
    });
    this.#limit = { outbox: 1024 * 1024, onFull: 'wait', ...limit };
  }

  /** A process that is forked, and does not listen yet. */
  fork(slot: number): Station {
    const pid = ++this.#pid;
    const [got, relayed, lines, waiting] = [[] as Envelope[], [] as Envelope[], [] as string[], [] as (() => void)[]];
    const station: Station = {
      got, relayed, lines,
      member: { pid, slot, ready: true, listens: null },
      take: () => {},
      bus: new Bus({
        self: { pid, slot }, limit: this.#limit,
        receive: (envelope, _, answer) => {
          got.push(envelope);
          for (const wake of waiting.splice(0)) wake();
          return station.take(envelope, answer);
        },
        relay: (envelope) => relayed.push(envelope) > 0,
        say: (line) => lines.push(line),
        drops: new Drops((line) => lines.push(line)),
      }),
      hears: async (count) => {
        while (got.length < count) await new Promise<void>((resolve) => { waiting.push(resolve); });
        return got;
      },
    };
    this.stations.push(station);
    this.roster.slots = Math.max(this.roster.slots, slot + 1);
    return station;
  }

  async open(station: Station): Promise<void> {
    station.member.listens = await station.bus.open({ dir: this.dir, token: TOKEN });
  }

  /** Everybody is told who is there. */
  tell(): void {
    this.roster = { ...this.roster, members: this.stations.map(({ member }) => ({ ...member })) };
    for (const { bus } of this.stations) bus.roster(this.roster);
  }

  /** Those who are forked now listen, and know each other. */
  async up(...slots: number[]): Promise<Station[]> {
    const forked = slots.map((slot) => this.fork(slot));
    for (const station of forked) await this.open(station);
    this.tell();
    return forked;
  }

  file(station: Station): string {
    return path.join(this.dir, String(station.member.pid));
  }
}

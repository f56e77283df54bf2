import { chmodSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import type { BusPlace, Envelope, Member, Roster } from '../ipc/messages.js';
import { ClusterError, isErrorData, wire, type ErrorCode, type ErrorData } from '../kit/errors.js';
import type { Drops } from '../kit/logger.js';
import { listen } from '../kit/sockets.js';
import { envelopeOf, envelopeToList, pack, unpackFrame, type Identity } from './bus-frames.js';
import { OwnParcels, type Limit, type Parcel } from './parcels.js';
import { Accepted, Dialed } from './peers.js';
import { Latecomers, Receivers } from './receivers.js';

export { copied, packed, unpack } from './bus-frames.js';

/** What the bus is to its process. */
export interface BusNeeds {
  self: Identity;
  limit: Limit;
  /** Takes an envelope that is for this process; a promise: it is not done with that yet. */
  receive(envelope: Envelope, bytes: number, answer: (answer: Envelope) => void): Promise<unknown> | void;
  /** What goes through the master; false: it was not sent. */
  relay(envelope: Envelope): boolean;
  /** A line for the log. */
  say(text: string): void;
  drops: Drops;
}

/** Connections to one process: from each other one, and then some. */
const MOST = 4_096;

/**
 * How this process speaks to the others past the master (docs/decisions/bus.md): it listens on a unix socket of its own, and dials
 * that of each process that it has something for. A bundle of its own, loaded by the first who speaks.
 */
export class Bus {
  readonly #needs: BusNeeds;
  readonly #peers = new Map<number, Dialed>();
  readonly #accepted = new Set<Accepted>();
  #place: BusPlace | null = null;
  #receivers: Receivers | null = null;
  #tapped: ReadonlySet<string> | null = new Set<string>();
  /** Nobody can be reached but through the master. */
  #relays = false;
  readonly #late: Latecomers;
  readonly #own: OwnParcels;
  /** Who listens, and was not found there: its socket was taken away. */
  readonly #unreachable = new Set<number>();

  constructor(needs: BusNeeds) {
    this.#needs = needs;
    this.#late = new Latecomers(needs.limit, ({ to, receiverPid }) => {
      needs.drops.add(`messages to ${receiverPid ?? to}, who is not there yet,`);
    });
    this.#own = new OwnParcels(needs.limit, (frame) => this.#hearOwn(frame), (parcel) => this.#dropped(parcel, needs.self.pid));
    // The socket's file stays, and the master removes it: who finds none there knows that it was taken away.
    process.once('exit', () => this.flushNow());
  }

  /** Listens; false where that cannot be. Without a place all goes through the master from here on. Never rejects. */
  async open(place: BusPlace): Promise<boolean> {
    if (place.dir === null) {
      this.#relayAll();
      return false;
    }
    this.#place = place;
    const file = path.join(place.dir, String(this.#needs.self.pid));
    const server = createServer((socket) => {
      if (this.#accepted.size >= MOST) return void socket.destroy();
      const one = new Accepted(socket, {
        token: place.token,
        limit: this.#needs.limit,
        heard: (message, bytes, from, answer) => this.#heard(envelopeOf(message, from), bytes, answer),
        cutOff: (reason, from) => this.#needs.drops.add(from ? `messages of pid ${from.pid}, whose connection was cut off,`
          : 'connections to the bus', reason),
      });
      this.#accepted.add(one);
      socket.once('close', () => this.#accepted.delete(one));
    });
    try {
      rmSync(file, { force: true });
      await listen(server, { path: file, exclusive: true, internal: true } as object);
      chmodSync(file, 0o600);
      server.on('error', () => {});
      server.unref();
      return true;
    } catch (error) {
      this.#needs.say(`messages to this process go through the master: ${(error as Error).message}`);
      server.close();
      return false;
    }
  }

  roster(roster: Roster): void {
    this.#receivers = new Receivers(roster);
    this.#tapped = roster.tapped && new Set(roster.tapped);
    const known = new Map(roster.members.map((member) => [member.pid, member]));
    for (const pid of this.#unreachable) {
      const member = known.get(pid);
      if (member) member.listens = false;
      else this.#unreachable.delete(pid);
    }
    for (const [pid, peer] of this.#peers) {
      const member = known.get(pid);
      if (!member) {
        this.#peers.delete(pid);
        this.#sendAgain(peer.end());
      } else this.#look(member, peer);
    }
    this.#sendLate();
  }

  /** False: it is kept, but who sends should wait (`room`). @throws ClusterError, and what {@link pack} says of its data */
  send(envelope: Envelope): boolean {
    if (this.#relays || this.#tapped === null || this.#tapped.has(envelope.action)) return this.#needs.relay(envelope);
    const frame = pack(envelopeToList(envelope));
    const targets = this.#late.waitsFor(envelope) ? null : this.#receivers?.of(envelope) ?? null;
    if (targets === null) return this.#late.keep({ envelope, frame });
    return this.#sendTo(targets, envelope, frame);
  }

  /** Resolves when all processes have room for more, or this one. */
  async room(pid?: number): Promise<void> {
    const { self } = this.#needs;
    for (const [one, { parcels }] of this.#peers) if (pid === undefined || one === pid) await parcels.room();
    if (pid === undefined || pid === self.pid) await this.#own.room();
  }

  /** Nobody waits for the answer to this request any more. */
  forget(request: number): void {
    for (const peer of this.#peers.values()) peer.forget(request);
  }

  /** Everything that was sent has left this process, but what is for who is not there yet, if nobody else comes. */
  isIdle(someCome: boolean): boolean {
    return (this.#late.count === 0 || !someCome) && [...this.#peers.values()].every(({ parcels }) => parcels.size === 0)
      && [...this.#accepted].every((one) => one.isIdle);
  }

  /** Before the process ends. */
  flushNow(): void {
    for (const { parcels } of this.#peers.values()) parcels.flushNow();
    for (const one of this.#accepted) one.flushNow();
    // Whoever never came that far is reached by the master, if at all.
    for (const { envelope } of this.#late.takeAll()) this.#needs.relay(envelope);
  }

  #sendTo(targets: readonly Member[], envelope: Envelope, frame: Buffer): boolean {
    let goesOn = true;
    let full: unknown;
    for (const member of targets) {
      try {
        if (!this.#sendOne(member, envelope, frame)) goesOn = false;
      } catch (error) {
        full = error;
      }
    }
    if (full) throw full as Error;
    if (targets.length === 0) this.#refuse(envelope);
    return goesOn;
  }

  #sendOne(member: Member, envelope: Envelope, frame: Buffer): boolean {
    if (member.pid === this.#needs.self.pid) return this.#own.push({ frame, request: envelope.request });
    if (member.listens === false) return this.#needs.relay({ ...envelope, receiverPid: member.pid });
    const peer = this.#peers.get(member.pid) ?? this.#peer(member);
    return peer.send({ frame, request: envelope.request });
  }

  #peer({ pid, listens, slot }: Member): Dialed {
    const { dir, token } = this.#place as BusPlace;
    const peer: Dialed = new Dialed({
      path: () => path.join(dir as string, String(pid)),
      token,
      self: this.#needs.self,
      limit: this.#needs.limit,
      answered: (answer) => this.#answered(answer, { pid, slot }),
      lost: (requests) => { for (const request of requests) this.#fail(request, 'ERR_CLUSTER_CHANNEL_CLOSED', `process ${pid} is gone`); },
      dropped: (parcel) => this.#dropped(parcel, pid),
      unreachable: (reason) => {
        this.#needs.say(`messages to pid ${pid} go through the master: ${reason}`);
        this.#relayTo(pid, peer);
      },
    });
    this.#peers.set(pid, peer);
    if (listens) peer.listens();
    return peer;
  }

  #dropped({ request }: Parcel, pid: number): void {
    this.#needs.drops.add(`messages to pid ${pid}, which does not read,`);
    if (request === undefined) return;
    this.#fail(request, 'ERR_CLUSTER_NOT_READING', `pid ${pid} does not read, and newer messages took its place`);
  }

  #look(member: Member, peer: Dialed): void {
    if (member.listens) peer.listens();
    else if (member.listens === false) this.#relayTo(member.pid, peer);
  }

  /** What waits for it goes through the master, and all that follows. */
  #relayTo(pid: number, peer: Dialed): void {
    this.#peers.delete(pid);
    this.#unreachable.add(pid);
    for (const member of this.#receivers?.members ?? []) if (member.pid === pid) member.listens = false;
    for (const { frame } of peer.end()) this.#needs.relay({ ...envelopeOf(unpackFrame(frame), this.#needs.self), receiverPid: pid });
  }

  #relayAll(): void {
    this.#relays = true;
    for (const { envelope } of this.#late.takeAll()) this.#needs.relay(envelope);
  }

  #sendLate(): void {
    if (this.#late.count === 0) return;
    for (const { envelope, frame } of this.#late.takeAll()) {
      try {
        const isTapped = this.#tapped === null || this.#tapped.has(envelope.action);
        const targets = isTapped || this.#late.waitsFor(envelope) ? null : this.#receivers?.of(envelope) ?? null;
        if (isTapped) this.#needs.relay(envelope);
        else if (targets === null) this.#late.keep({ envelope, frame });
        else this.#sendTo(targets, envelope, frame);
      } catch (error) {
        if (envelope.request !== undefined) this.#reject(envelope.request, wire(error));
      }
    }
  }

  #hearOwn(frame: Buffer): void {
    const { self } = this.#needs;
    void this.#heard(envelopeOf(unpackFrame(frame), self), frame.length, (answer) => {
      this.#answered(unpackFrame(answer) as unknown[], self);
    });
  }

  /** What a listener throws is the listener's. */
  #heard(envelope: Envelope, bytes: number, answer: (frame: Buffer) => void): Promise<unknown> | void {
    try {
      return this.#needs.receive(envelope, bytes, ({ data, error }) => {
        answer(pack(error ? [envelope.request, 0, error] : [envelope.request, data]));
      });
    } catch (error) {
      process.nextTick(() => { throw error; });
    }
  }

  #answered([reply, data, error]: readonly unknown[], { pid, slot }: Identity): void {
    const envelope: Envelope = { action: '', from: slot < 0 ? 'agent' : 'app', senderPid: pid, reply: reply as number };
    if (error === undefined) envelope.data = data;
    else envelope.error = isErrorData(error) ? error : wire(error);
    void this.#needs.receive(envelope, 0, () => {});
  }

  /** What has not left goes to the next one who is meant: the agent, the worker of a slot; whoever was asked by pid is gone. */
  #sendAgain(parcels: readonly Parcel[]): void {
    for (const { frame, request } of parcels) {
      const envelope = envelopeOf(unpackFrame(frame), this.#needs.self);
      const isForPlace = envelope.to === 'agent' || typeof envelope.receiverPid === 'string';
      if (isForPlace) this.#late.push({ envelope, frame });
      else if (request !== undefined) this.#refuse(envelope);
    }
  }

  #refuse({ request, action, receiverPid, to }: Envelope): void {
    if (request === undefined) return;
    this.#fail(request, 'ERR_CLUSTER_NO_RECEIVER', `nobody is there to take "${action}": ${receiverPid ?? to}`);
  }

  #fail(request: number, code: ErrorCode, message: string): void {
    this.#reject(request, wire(new ClusterError(code, message)));
  }

  #reject(reply: number, error: ErrorData): void {
    // A turn later, as in ProcessMessenger.
    setImmediate(() => { void this.#needs.receive({ action: '', reply, error }, 0, () => {}); });
  }
}

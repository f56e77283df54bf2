import type { ServerHttp2Stream } from 'node:http2';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { cutAnswer, reset, type ServedRequest } from '../../lib/runtime.js';
import { described } from './in-flight.js';
import { Moves } from './moves.js';
import { NO_PROGRESS, type Progress, type Rules } from './rules.js';
import { WebSocketEnd } from './web-socket.js';

/** Milliseconds that the app has to end a connection whose client has answered the goodbye, and the client to see its end. */
const GOODBYE = 1_000;
const OWN_END = 50;

/** All WebSockets whose clients, or whose forwarders, are connected to this worker; part of its drain. */
export class WebSockets {
  readonly closed = Promise.resolve();
  readonly #open = new Map<Duplex, WebSocketEnd>();
  readonly #moves = new Moves();
  readonly #endedAt = new WeakMap<Duplex, number>();

  /** For the hook of upgrades. */
  upgrades({ headers, url = '' }: ServedRequest, socket: Duplex): void {
    if (/^websocket$/i.test(headers.upgrade ?? '')) this.add(socket, url);
  }

  /** `answered`: the handshake is over. */
  add(socket: Duplex, path: string, answered = false): void {
    if (this.#open.has(socket)) return;
    this.#open.set(socket, new WebSocketEnd(socket, path, answered));
    socket.once('close', () => this.#open.delete(socket));
  }

  has(socket: unknown): boolean {
    const found = this.#open.get(socket as Duplex);
    return found !== undefined && !found.other;
  }

  begin(): void {}

  get done(): boolean {
    return this.#all().length === 0;
  }

  look(rules: Rules): Progress {
    const progress = NO_PROGRESS();
    const { now, goodbye } = rules;
    const fresh = this.#all().filter(({ toldAt, asking }) => toldAt === null && !asking);
    if (goodbye !== null) {
      const due = this.#moves.due(fresh, now, rules.cutStreams ? 0 : rules.moveWithin);
      for (const one of due) if (one.goodbye(goodbye, now)) progress.goodbyes.push(told(one, now));
    }
    for (const one of this.#all()) this.#end(one, rules, progress);
    const left = this.#all();
    const asking = left.filter((one) => one.asking);
    progress.sockets = left.length;
    progress.moving = left.length - asking.length;
    progress.requests = asking.length;
    progress.inFlight.push(...asking.map((one) => told(one, now)));
    return progress;
  }

  #all(): WebSocketEnd[] {
    return [...this.#open.values()].filter(({ other, socket }) => !other && !socket.destroyed);
  }

  #end(one: WebSocketEnd, { now, upgradeTimeout, cut: cutRequests, cutStreams }: Rules, progress: Progress): void {
    const { socket, toldAt, answeredAt } = one;
    if (toldAt === null) {
      if (!(one.asking ? cutRequests : cutStreams)) return;
      progress.cut.push(told(one, now));
      return cut(socket);
    }
    const isOver = cutStreams || now - toldAt >= upgradeTimeout || (answeredAt !== null && now - answeredAt >= OWN_END);
    const ended = this.#endedAt.get(socket);
    if (ended !== undefined ? now - ended >= GOODBYE : false) socket.destroy();
    else if (isOver && ended === undefined) {
      this.#endedAt.set(socket, now);
      socket.end();
    }
  }
}

const told = ({ path, since }: WebSocketEnd, now: number) => described({ method: 'GET', url: path, age: now - since });

/** In the middle of a message: its client is to see that something is missing. */
function cut(socket: Duplex): void {
  if (socket instanceof net.Socket) reset(socket);
  else cutAnswer(socket as ServerHttp2Stream);
}

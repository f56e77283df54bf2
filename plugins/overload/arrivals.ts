import type { Server, Socket } from 'node:net';
import { belowTls, handleOf, type Runtime, type ServedRequest } from '../../lib/runtime.js';
import { Backlog } from './backlog.js';
import { commonClock, type Arrival } from './messages.js';
import type { Turns } from './turns.js';

/** A connection that waited in the master, until its first request has come. */
interface Taken {
  /** Both on the common clock. */
  came: number;
  at: number;
  /** Of the event loop, in which this process could first read from it. */
  turn: number;
}

/** What has come with a connection is read within so many ms of a loop that is not busy. */
const AT_ONCE = 2;

/** How long what comes to this worker has waited: in the master for a worker, then here for the event loop. */
export class Arrivals {
  readonly #runtime: Pick<Runtime, 'noteOf'>;
  readonly #turns: Turns;
  readonly #saw: (wait: number) => void;
  readonly #sharers: number;
  readonly #taken = new WeakMap<Socket, Taken>();

  /** `saw`: what a connection had waited for, ms, as it was taken; `sharers`: how many workers accept from one socket. */
  constructor(runtime: Pick<Runtime, 'noteOf'>, turns: Turns, saw: (wait: number) => void, sharers = 1) {
    this.#runtime = runtime;
    this.#turns = turns;
    this.#saw = saw;
    this.#sharers = sharers;
  }

  /** To be called before the server listens. */
  watch(server: Server): void {
    const isSecure = 'setSecureContext' in server;
    const backlog = new Backlog(server, this.#sharers);
    server.prependListener('connection', (socket: Socket) => this.#connected(socket, isSecure, backlog));
    if (!isSecure) return;
    server.prependListener('secureConnection', (socket: Socket) => {
      const below = belowTls(socket);
      const taken = below && this.#taken.get(below);
      // The handshake took its time, and the request follows it.
      if (taken) this.#taken.set(socket, { ...taken, came: commonClock() - (taken.at - taken.came), ...this.#moment() });
    });
  }

  /** Milliseconds; of HTTP/2 the wait for the event loop alone. */
  waitOf(request: ServedRequest): number {
    const forLoop = this.#turns.wait(performance.now());
    if ('stream' in request) return forLoop;
    const taken = this.#taken.get(request.socket);
    if (!taken) return forLoop;
    this.#taken.delete(request.socket);
    const now = commonClock();
    // A client that has sent its request later has not waited for us.
    const wasThere = this.#turns.count - taken.turn <= 1 || now - taken.at < AT_ONCE;
    return wasThere ? now - taken.came : forLoop;
  }

  #moment(): Pick<Taken, 'at' | 'turn'> {
    return { at: commonClock(), turn: this.#turns.count };
  }

  #connected(socket: Socket, isSecure: boolean, backlog: Backlog): void {
    const handle = handleOf(socket);
    const note = handle && this.#runtime.noteOf(handle) as { overload?: Arrival } | undefined;
    const arrival = note?.overload;
    const now = performance.now();
    const isBusy = this.#turns.wait(now) > 0;
    // Without a word of the master this process has accepted it itself, or has it back.
    const waited = arrival ? commonClock() - arrival.at : note ? 0 : backlog.accepted(now, isBusy);
    if (!arrival && waited === 0) return;
    // One that is given back to the master goes on without it.
    if (note) delete note.overload;
    const moment = this.#moment();
    this.#taken.set(socket, { came: moment.at - waited, ...moment });
    // Its request, which is not here yet, tells more of it than that.
    if (isSecure) this.#saw(waited);
    if (arrival?.read !== undefined) socket.unshift(Buffer.from(arrival.read, 'base64'));
  }
}

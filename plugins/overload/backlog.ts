import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { AddressInfo, Server } from 'node:net';
import { accepts, handleOf } from '../../lib/runtime.js';

/** Milliseconds between two looks at the queue of a listening socket. */
const BETWEEN = 10;
/** Looks that are kept, and bytes of the kernel's table that are read: sockets that listen are its first ones. */
const LOOKS = 1_000;
const READ = 16 * 1024;
/** Columns of that table, by their place: `0A` is a socket that listens, and what it could read are connections. */
const [LISTENS, STATE, QUEUES, INODE] = ['0A', 3, 4, 9];

const table = Buffer.allocUnsafe(READ);

/** Connections that wait in the kernel at a listening socket of this process; undefined where that cannot be known. */
export function queueOf(server: Server): number | undefined {
  const fd = handleOf(server)?.fd ?? -1;
  const address = server.address() as AddressInfo | string | null;
  if (process.platform !== 'linux' || fd < 0 || address === null || typeof address === 'string') return undefined;
  const inode = String(fstatSync(fd).ino);
  const file = openSync(address.family === 'IPv6' ? '/proc/net/tcp6' : '/proc/net/tcp', 'r');
  try {
    const lines = table.toString('latin1', 0, readSync(file, table, 0, READ, 0)).split('\n');
    const own = lines.map((line) => line.trim().split(/\s+/)).find((columns) => columns[STATE] === LISTENS && columns[INODE] === inode);
    return own && Number.parseInt(own[QUEUES]?.split(':')[1] ?? '', 16);
  } finally {
    closeSync(file);
  }
}

/**
 * How long a connection has waited in the kernel, where this process accepts it itself. Node takes one in each turn of the event loop,
 * so the queue of a worker that has too much stands there, where neither it nor the master sees it. At a look everybody has come who is
 * accepted before as many more as wait then: who is one of them has waited since that look at least.
 */
export class Backlog {
  readonly #server: Server;
  readonly #length: (server: Server) => number | undefined;
  /** Processes that take from this queue, each as many as another. */
  readonly #sharers: number;
  readonly #looks: { at: number; until: number }[] = [];
  #accepted = 0;
  #lookedAt = -Infinity;
  #unknown = false;

  constructor(server: Server, sharers: number, length: (server: Server) => number | undefined = queueOf) {
    this.#server = server;
    this.#sharers = sharers;
    this.#length = length;
  }

  /** One is accepted at `now` (performance.now()); `isBusy`: the event loop has had something to do before. Milliseconds that it waited. */
  accepted(now: number, isBusy: boolean): number {
    this.#accepted += this.#sharers;
    while (this.#looks[0] && this.#looks[0].until < this.#accepted) this.#looks.shift();
    const [first] = this.#looks;
    if ((isBusy || first) && now - this.#lookedAt >= BETWEEN) this.#look(now);
    return first ? now - first.at : 0;
  }

  #look(now: number): void {
    if (this.#unknown || this.#looks.length >= LOOKS || !accepts(this.#server)) return;
    this.#lookedAt = now;
    try {
      const length = this.#length(this.#server);
      this.#unknown = length === undefined;
      if (length) this.#looks.push({ at: now, until: this.#accepted + length });
    } catch {
      this.#unknown = true;
    }
  }
}

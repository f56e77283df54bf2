// A load generator in a process of its own: raw TCP, as little work a request as Node allows, so that it is not what is measured.
import net from 'node:net';

export type LoadMode = 'keep-alive' | 'per-connection';

export interface LoadOrder {
  mode: LoadMode;
  port: number;
  /** Connections at a time. */
  clients: number;
  /** Milliseconds. */
  duration: number;
  /** As many addresses that the clients come from, in turns; 1 where none is given. */
  addresses?: number;
  /** As many keys, one a request in turns, in the header `x-client`. */
  keys?: number;
  /** Connections a second, in place of as many as can be had. */
  rate?: number;
}

export interface LoadResult {
  requests: number;
  errors: number;
  seconds: number;
  /** How long each answer took, ms; at a fixed rate alone. */
  took: number[];
  /** Share of one core that the generator itself used; near 1 it would be the bottleneck. */
  busy: number;
}

const get = (headers: string) => Buffer.from(`GET / HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`);
/** Milliseconds between two lots of connections at a fixed rate. */
const LOT = 5;
/** One for all connections: what is read is only counted. */
const buffer = Buffer.allocUnsafe(64 * 1024);

class Load {
  requests = 0;
  errors = 0;
  stopped = false;
  readonly took: number[] = [];
  /** Bytes of one answer: the same for each, as its headers are of fixed length. */
  #length = 0;
  readonly #sockets = new Set<net.Socket>();
  readonly #port: number;
  readonly #addresses: string[];
  readonly #requests: Buffer[];
  #next = 0;

  constructor({ mode, port, addresses = 0, keys = 0 }: LoadOrder) {
    this.#port = port;
    this.#addresses = Array.from({ length: addresses }, (_, n) => `127.0.1.${n % 250 + 1}`);
    const last = mode === 'per-connection' ? 'Connection: close\r\n' : '';
    this.#requests = keys > 0 ? Array.from({ length: keys }, (_, n) => get(`X-Client: k${n}\r\n${last}`)) : [get(last)];
  }

  keepAlive(): void {
    let received = 0;
    const socket = net.connect({
      port: this.#port, host: '127.0.0.1', noDelay: true, localAddress: this.#addresses[this.#sockets.size % this.#addresses.length],
      onread: {
        buffer,
        callback: (bytes) => {
          received += bytes;
          this.#length ||= lengthOf(bytes);
          if (received < this.#length) return true;
          received = 0;
          this.requests++;
          if (!this.stopped) socket.write(this.#request());
          return true;
        },
      },
    }, () => socket.write(this.#request()));
    this.#watch(socket, () => {
      if (this.stopped) return;
      this.errors++;
      this.keepAlive();
    });
  }

  perConnection(again = true): void {
    let received = 0;
    const began = again ? 0 : performance.now();
    const socket = net.connect({
      port: this.#port, host: '127.0.0.1', localAddress: this.#address(),
      onread: {
        buffer,
        callback: (bytes) => {
          received += bytes;
          return true;
        },
      },
    });
    socket.write(this.#request());
    this.#watch(socket, () => {
      if (received > 0 && !again) this.took.push(performance.now() - began);
      if (received > 0) this.requests++;
      else if (!this.stopped) this.errors++;
      if (!this.stopped && again) this.perConnection();
    });
  }

  #request(): Buffer {
    return this.#requests[this.#next++ % this.#requests.length] as Buffer;
  }

  #address(): string | undefined {
    return this.#addresses[this.#next % this.#addresses.length];
  }

  #watch(socket: net.Socket, closed: () => void): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#sockets.delete(socket);
      closed();
    });
  }

  end(): void {
    this.stopped = true;
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Head and body of the first answer, which comes in one piece. */
function lengthOf(bytes: number): number {
  const text = buffer.toString('latin1', 0, bytes);
  const head = text.indexOf('\r\n\r\n') + 4;
  const chunked = /transfer-encoding: chunked/i.test(text);
  return chunked ? text.indexOf('0\r\n\r\n', head) + 5 : head + Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
}

async function run(order: LoadOrder): Promise<LoadResult> {
  const { mode, clients, duration, rate } = order;
  const load = new Load(order);
  const cpu = process.cpuUsage();
  const started = performance.now();
  const lots = rate === undefined
    ? undefined
    : setInterval(() => { for (let n = 0; n < rate * LOT / 1_000; n++) load.perConnection(false); }, LOT);
  if (rate === undefined) for (let n = 0; n < clients; n++) if (mode === 'keep-alive') load.keepAlive(); else load.perConnection();
  await new Promise((resolve) => setTimeout(resolve, duration));
  clearInterval(lots);
  const { requests, errors, took } = load;
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  load.end();
  return { requests, errors, took, seconds, busy: (user + system) / 1e6 / seconds };
}

if (process.send) {
  process.on('message', (order: LoadOrder) => {
    run(order).then((result) => process.send?.(result));
  });
}

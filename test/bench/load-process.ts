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
}

export interface LoadResult {
  requests: number;
  errors: number;
  seconds: number;
  /** Share of one core that the generator itself used; near 1 it would be the bottleneck. */
  busy: number;
}

const KEEP_ALIVE = Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
const CLOSE = Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
/** One for all connections: what is read is only counted. */
const buffer = Buffer.allocUnsafe(64 * 1024);

class Load {
  requests = 0;
  errors = 0;
  stopped = false;
  /** Bytes of one answer: the same for each, as its headers are of fixed length. */
  #length = 0;
  readonly #sockets = new Set<net.Socket>();
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
  }

  keepAlive(): void {
    let received = 0;
    const socket = net.connect({
      port: this.#port, host: '127.0.0.1', noDelay: true,
      onread: {
        buffer,
        callback: (bytes) => {
          received += bytes;
          this.#length ||= lengthOf(bytes);
          if (received < this.#length) return true;
          received = 0;
          this.requests++;
          if (!this.stopped) socket.write(KEEP_ALIVE);
          return true;
        },
      },
    }, () => socket.write(KEEP_ALIVE));
    this.#watch(socket, () => {
      if (this.stopped) return;
      this.errors++;
      this.keepAlive();
    });
  }

  perConnection(): void {
    let received = 0;
    const socket = net.connect({
      port: this.#port, host: '127.0.0.1',
      onread: {
        buffer,
        callback: (bytes) => {
          received += bytes;
          return true;
        },
      },
    });
    socket.write(CLOSE);
    this.#watch(socket, () => {
      if (received > 0) this.requests++;
      else if (!this.stopped) this.errors++;
      if (!this.stopped) this.perConnection();
    });
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

async function run({ mode, port, clients, duration }: LoadOrder): Promise<LoadResult> {
  const load = new Load(port);
  const cpu = process.cpuUsage();
  const started = performance.now();
  for (let n = 0; n < clients; n++) if (mode === 'keep-alive') load.keepAlive(); else load.perConnection();
  await new Promise((resolve) => setTimeout(resolve, duration));
  const { requests, errors } = load;
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  load.end();
  return { requests, errors, seconds, busy: (user + system) / 1e6 / seconds };
}

if (process.send) {
  process.on('message', (order: LoadOrder) => {
    run(order).then((result) => process.send?.(result));
  });
}

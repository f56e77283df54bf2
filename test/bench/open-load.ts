// A load that does not wait for answers, in a process of its own: requests come by chance (Poisson), as from clients who know nothing
// of each other, and each is given up after a while.
import { fork, type ChildProcess } from 'node:child_process';
import net from 'node:net';
import { fileURLToPath } from 'node:url';

export interface OpenOrder {
  port: number;
  /** Requests a second. */
  rate: number;
  /** Milliseconds before anything is counted, those that are, and those after which a client gives up. */
  warm: number;
  duration: number;
  patience: number;
  /** So many connections are there from the beginning, and kept for the next request; 0: each request has its own. */
  keeps: number;
}

export interface OpenResult {
  /** Answers with 200, ms each; 503; given up; failed. */
  took: number[];
  shed: number;
  late: number;
  failed: number;
  asked: number;
  seconds: number;
}

const MOST = 4_000;

class OpenLoad {
  readonly result: OpenResult = { took: [], shed: 0, late: 0, failed: 0, asked: 0, seconds: 0 };
  readonly #order: OpenOrder;
  readonly #idle: net.Socket[] = [];
  readonly #all = new Set<net.Socket>();
  #counts = false;

  constructor(order: OpenOrder) {
    this.#order = order;
  }

  async run(): Promise<OpenResult> {
    const { rate, warm, duration, patience, keeps } = this.#order;
    while (this.#idle.length < keeps) await this.#open();
    const begun = performance.now();
    let next = begun;
    const timer = setInterval(() => {
      for (const now = performance.now(); next <= now; next += -Math.log(1 - Math.random()) / rate * 1_000) this.#ask();
    }, 1);
    const after = (ms: number) => new Promise((resolve) => { setTimeout(resolve, ms); });
    await after(warm);
    this.#counts = true;
    const counted = performance.now();
    await after(duration);
    this.#counts = false;
    this.result.seconds = (performance.now() - counted) / 1_000;
    clearInterval(timer);
    await after(patience + 100);
    for (const socket of this.#all) socket.destroy();
    return this.result;
  }

  /** One that is kept. */
  #open(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ port: this.#order.port, host: '127.0.0.1', noDelay: true }, () => {
        socket.off('error', reject).on('error', () => {});
        this.#keep(socket);
        resolve();
      }).once('error', reject);
      this.#all.add(socket);
    });
  }

  #keep(socket: net.Socket): void {
    socket.once('end', () => this.#gone(socket)).once('close', () => this.#gone(socket));
    this.#idle.push(socket);
  }

  /** Whether it counts is decided as it is asked; nobody is asked twice. */
  #ask(): void {
    const { port, patience, keeps } = this.#order;
    const { result } = this;
    const counts = this.#counts;
    if (counts) result.asked++;
    const begun = performance.now();
    const kept = this.#idle.shift();
    if (!kept && this.#all.size >= MOST) return void (counts && result.failed++);
    const socket = kept ?? net.connect({ port, host: '127.0.0.1', noDelay: true });
    this.#all.add(socket);
    let text = '';
    const over = (how: 'late' | 'failed' | 'answered') => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => {});
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]);
      if (counts) {
        if (how === 'late') result.late++;
        else if (status === 200) result.took.push(performance.now() - begun);
        else if (status === 503) result.shed++;
        else result.failed++;
      }
      const goesOn = how === 'answered' && keeps > 0 && !socket.destroyed && !/connection: close/i.test(text);
      if (goesOn) this.#keep(socket);
      else {
        this.#all.delete(socket);
        if (how === 'answered') socket.end();
        else socket.destroy();
      }
    };
    const timer = setTimeout(() => over('late'), patience);
    socket.removeAllListeners('end').removeAllListeners('close');
    socket.on('error', () => over('failed')).once('close', () => over(isWhole(text) ? 'answered' : 'failed'));
    socket.setEncoding('latin1').on('data', (part) => {
      text += String(part);
      if (isWhole(text)) over('answered');
    });
    socket.write(`GET / HTTP/1.1\r\nHost: localhost\r\n${keeps > 0 ? '' : 'Connection: close\r\n'}\r\n`);
  }

  #gone(socket: net.Socket): void {
    const at = this.#idle.indexOf(socket);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#all.delete(socket);
    socket.destroy();
  }
}

function isWhole(text: string): boolean {
  const head = text.indexOf('\r\n\r\n');
  return head >= 0 && (/transfer-encoding: chunked/i.test(text.slice(0, head))
    ? text.endsWith('0\r\n\r\n')
    : text.length >= head + 4 + Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0));
}

/** That process, seen from the bench. */
export class OpenGenerator {
  readonly #process: ChildProcess = fork(fileURLToPath(import.meta.url));

  get pid(): number { return this.#process.pid as number; }

  run(order: OpenOrder): Promise<OpenResult> {
    return new Promise((resolve, reject) => {
      const failed = () => reject(new Error('the load generator ended'));
      this.#process.once('exit', failed);
      this.#process.once('message', (result: OpenResult) => {
        this.#process.off('exit', failed);
        resolve(result);
      });
      this.#process.send(order);
    });
  }

  close(): void {
    this.#process.kill();
  }
}

if (process.send) process.on('message', (order: OpenOrder) => { new OpenLoad(order).run().then((result) => process.send?.(result)); });

import net from 'node:net';
import { fixture } from './cluster.js';

/** What goes before the bin, so that a master's system functions can be made to fail. */
export const faultyArgv = ['--require', fixture('faulty-node.cjs')];

/** The next call number `nth` of a system function fails with `code`, as the real function would. */
export interface Fault { name: string; nth: number; code: string }

export interface Told {
  /** Calls of each function since the last time. */
  calls: Record<string, number>;
  /** What was made to fail since then, and where. */
  fired: { name: string; code: string; stack: string } | null;
}

/** The other end of fixtures/faulty-node.cjs. */
export class FaultSwitch {
  readonly #socket: net.Socket;
  #buffer = '';
  readonly #waiting: ((told: Told) => void)[] = [];

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8').on('data', (text: string) => {
      const lines = (this.#buffer + text).split('\n');
      this.#buffer = lines.pop() ?? '';
      for (const line of lines) this.#waiting.shift()?.(JSON.parse(line) as Told);
    });
    socket.on('error', () => {});
  }

  static async to(file: string): Promise<FaultSwitch> {
    for (let tries = 0; ; tries++) {
      const socket = net.connect(file);
      const error = await new Promise<Error | null>((resolve) => socket.once('connect', () => resolve(null)).once('error', resolve));
      if (!error) return new FaultSwitch(socket);
      if (tries > 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  /** Takes what was counted, and arms a fault, or none. Rejects when the master is gone. */
  turn(arm?: Fault): Promise<Told> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('the master does not answer the fault switch')), 10_000);
      this.#socket.once('close', () => reject(new Error('the master is gone')));
      this.#waiting.push((told) => {
        clearTimeout(timer);
        this.#socket.removeAllListeners('close');
        resolve(told);
      });
      this.#socket.write(`${JSON.stringify({ arm })}\n`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

import { WebSocket } from 'ws';

/** How a WebSocket went. */
export interface Ended {
  code: number;
  reason: string;
  /** performance.now() */
  at: number;
  messages: number;
  /** Messages that are not what they say of themselves. */
  broken: number;
}

/** A stock client; what the fixture `web-sockets` sends says how long it is. */
export class Client {
  readonly opened: Promise<void>;
  readonly ended: Promise<Ended>;
  messages = 0;
  broken = 0;
  /** Milliseconds from the close frame to the connection's end. */
  readonly socket: WebSocket;

  constructor(port: number, path: string, { secure = false, headers = {} }: { secure?: boolean; headers?: Record<string, string> } = {}) {
    const socket = new WebSocket(`${secure ? 'wss' : 'ws'}://127.0.0.1:${port}${path}`, { rejectUnauthorized: false, headers });
    this.socket = socket;
    this.opened = new Promise((resolve, reject) => socket.on('open', () => resolve()).on('error', reject));
    this.opened.catch(() => {});
    socket.on('message', (data: Buffer, isBinary) => {
      this.messages++;
      if (!isBinary && data[0] === 0x7b && !isWhole(String(data))) this.broken++;
    });
    this.ended = new Promise((resolve) => socket.on('close', (code, reason) => {
      resolve({ code, reason: String(reason), at: performance.now(), messages: this.messages, broken: this.broken });
    }));
  }

  /** Of the fixture's quiet ones. */
  ask(text: string): Promise<string> {
    return new Promise((resolve) => {
      this.socket.once('message', (data: Buffer) => resolve(String(data)));
      this.socket.send(text);
    });
  }
}

function isWhole(text: string): boolean {
  try {
    const { length, fill } = JSON.parse(text) as { length: number; fill: string };
    return fill.length === length;
  } catch {
    return false;
  }
}

/** The most of these times that lie within so many ms. */
export function mostWithin(times: readonly number[], ms: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  let [from, most] = [0, 0];
  for (const [to, time] of sorted.entries()) {
    while (time - sorted[from]! > ms) from++;
    most = Math.max(most, to - from + 1);
  }
  return most;
}

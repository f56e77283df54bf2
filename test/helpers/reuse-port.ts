import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { node } from './cluster.js';
import { unsuited } from './skips.js';

/** Of the Node that runs the product. */
const [major = 0, minor = 0] = execFileSync(node, ['--version'], { encoding: 'utf8' }).slice(1).split('.').map(Number);

/** Why `balance: "reuse-port"` cannot be tested here; false: it can. */
export const skip = process.platform === 'linux' && (major > 22 || (major === 22 && minor >= 12)) ? false : unsuited.reusePort;

/** A request of a connection of its own: `connected`, then `answer`, the status line and the body, or what went wrong. */
export interface Client { connected: Promise<void>; answer: Promise<string> }

/** All at once. */
export function clients(count: number, port: number, path = '/pid'): Client[] {
  return Array.from({ length: count }, () => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`));
    let text = '';
    socket.setEncoding('utf8').on('data', (part: string) => { text += part; });
    return {
      connected: new Promise((resolve) => socket.once('connect', () => resolve()).once('error', () => resolve())),
      answer: new Promise((resolve) => socket.once('error', (error) => resolve(error.message))
        .once('close', () => resolve(text.replace(/\r\n.*\r\n\r\n/s, ' ') || 'closed'))),
    };
  });
}

/** Of each socket that listens on this port, how many wait in its queue (Linux). */
export function queues(pid: number, port: number): number[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return ['tcp', 'tcp6'].flatMap((name) => readFileSync(`/proc/${pid}/net/${name}`, 'latin1').split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/)).filter(([, local, , state]) => state === '0A' && local?.endsWith(suffix))
    .map(([, , , , counts]) => Number.parseInt(counts?.split(':')[1] ?? '0', 16));
}

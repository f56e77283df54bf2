import { spawn } from 'node:child_process';
import path from 'node:path';
import type { CloseReason, Waiting } from '../../lib/ipc/messages.js';
import { fixture, freePort, node, root, type Scope } from './cluster.js';

interface Message { listening?: true; drained?: true; type?: string; data?: Waiting; told?: string; logged?: string; stack?: string }

/** graceful-exit's part in one process without a cluster: quick to start, and nothing else can be the cause. */
export interface Alone {
  port: number;
  messages: Message[];
  /** Tells it to close; the returned promise is its exit. */
  close(reason: CloseReason, timeout: number, streamTimeout?: number): Promise<Ended>;
  ended: Promise<Ended>;
  /** Time of a `performance.now()` at which a message that fits came; within `deadline` ms. */
  message(fits: (message: Message) => unknown, deadline?: number): Promise<Message>;
}
export interface Ended { code: number | null; signal: string | null; /** ms since `close`, or since the start. */ took: number; at: number }

export async function alone(
  scope: Scope, app: string, { env = {}, options = {} }: { env?: Record<string, string>; options?: object } = {},
): Promise<Alone> {
  const port = await freePort();
  const servers = 1 + ['HTTPS_PORT', 'HTTP2_PORT', 'HTTP2_CLEAR_PORT', 'TCP_PORT', 'TLS_PORT'].filter((name) => name in env).length;
  const child = spawn(node, [fixture('drain-alone/child.cjs'), path.join(root, 'dist/plugins/graceful-exit/worker.cjs'), fixture(app)], {
    env: { ...process.env, PORT: String(port), OPTIONS: JSON.stringify(options), ...env }, stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  scope.after(() => child.kill('SIGKILL'));
  const messages: Message[] = [];
  const listeners = new Set<() => void>();
  child.on('message', (message) => {
    messages.push(message as Message);
    for (const listener of [...listeners]) listener();
  });
  let began = performance.now();
  const ended = new Promise<Ended>((resolve) => child.on('exit', (code, signal) => {
    const at = performance.now();
    resolve({ code, signal, took: at - began, at });
  }));
  const result: Alone = {
    port, messages, ended,
    close(reason, timeout, streamTimeout) {
      began = performance.now();
      child.send({ reason, timeout, streamTimeout });
      return ended;
    },
    message: (fits, deadline = 5_000) => new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no such message: ${JSON.stringify(messages)}`)), deadline);
      const look = () => {
        const found = messages.find(fits);
        if (!found) return;
        clearTimeout(timer);
        listeners.delete(look);
        resolve(found);
      };
      listeners.add(look);
      look();
    }),
  };
  await result.message(() => messages.filter(({ listening }) => listening).length === servers);
  return result;
}

import { spawn, type ChildProcess } from 'node:child_process';
import { fixture, node, type Scope } from './cluster.js';
import { eventually } from './eventually.js';

interface Handle { fd: number; bind(host: string, port: number): number; getsockname(out: { port?: number }): number; close(): void }
interface TcpWrap { TCP: new (type: number) => Handle; constants: { SERVER: number } }

/** A socket that is bound and kept here, and accepted from by whoever it is passed on to: between two of them connections wait. */
export function heldPort(scope: Scope): { fd: number; port: number } {
  const { TCP, constants } = (process as unknown as { binding(name: string): TcpWrap }).binding('tcp_wrap');
  const handle = new TCP(constants.SERVER);
  handle.bind('127.0.0.1', 0);
  const place: { port?: number } = {};
  handle.getsockname(place);
  scope.after(() => handle.close());
  return { fd: handle.fd, port: place.port as number };
}

export interface OneOptions {
  /** Of `drain()`. */
  options?: Record<string, unknown>;
  env?: Record<string, string>;
  /** Passed on as descriptors 3 and up. */
  fds?: number[];
  execArgv?: string[];
  /** In a group of its own, which can be signalled as a whole. */
  detached?: boolean;
  /** Another file than the fixture's. */
  main?: string;
  /** Waited for; it listens by then. */
  up?: string;
}

/** One Node process that serves, without a master. */
export class OneProcess {
  readonly process: ChildProcess;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; at: number }>;
  output = '';

  constructor(scope: Scope, app: string, given: OneOptions) {
    const { options = {}, env = {}, fds = [], execArgv = [], detached = false, main = fixture('one-process/main.mjs') } = given;
    this.process = spawn(node, [...execArgv, main], {
      env: { ...process.env, APP: app, OPTIONS: JSON.stringify(options), ...env }, stdio: ['ignore', 'pipe', 'pipe', ...fds], detached,
    });
    scope.after(() => this.process.kill('SIGKILL'));
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => { this.output += text; });
    }
    this.ended = new Promise((resolve) => this.process.once('close', (code, signal) => resolve({ code, signal, at: performance.now() })));
  }

  static async start(scope: Scope, app: string, options: OneOptions): Promise<OneProcess> {
    const one = new OneProcess(scope, app, options);
    const up = options.up ?? 'up\n';
    await eventually(() => one.output.includes(up) || one.process.exitCode !== null, 15_000);
    if (!one.output.includes(up)) throw new Error(`it has ended with ${one.process.exitCode}\n${one.output}`);
    return one;
  }

  stop(signal: NodeJS.Signals = 'SIGTERM'): OneProcess['ended'] {
    this.process.kill(signal);
    return this.ended;
  }
}

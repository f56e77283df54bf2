import { EventEmitter } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import type { ChildView } from '../../lib/api/child.js';
import type { Context, Runtime } from '../../lib/api/runtime.js';
import { gateRequests } from '../../lib/child/request-hooks.js';
import { ChildRuntime, createContext } from '../../lib/child/runtime.js';
import { Channel } from '../../lib/ipc/channel.js';
import type { BootInfo, ChildRole, CloseReason, Envelope } from '../../lib/ipc/messages.js';
import { listen } from '../../lib/kit/sockets.js';
import type { Bus, BusNeeds } from '../../lib/messenger/bus.js';
import type { Wire } from '../../lib/node/wire.js';

/** One end of a pipe between two ends in this process: what is written is there a moment later. */
class ShortWire extends EventEmitter implements Wire {
  writable = true;
  readonly writableLength = 0;
  #other!: ShortWire;

  static pair(): [ShortWire, ShortWire] {
    const [one, other] = [new ShortWire(), new ShortWire()];
    one.#other = other;
    other.#other = one;
    return [one, other];
  }

  write(data: Buffer): void {
    queueMicrotask(() => { if (this.#other.writable) this.#other.emit('data', data); });
  }

  ref(): void {}
  unref(): void {}

  destroy(): void {
    for (const end of [this, this.#other]) {
      if (!end.writable) continue;
      end.writable = false;
      end.emit('close');
    }
  }
}

/** In place of the bus: what is sent by the messenger takes the channel, where the test sees it. */
class Straight {
  readonly isIdle = true;
  readonly #relay: BusNeeds['relay'];

  constructor({ relay }: BusNeeds) {
    this.#relay = relay;
  }

  send(envelope: Envelope): boolean {
    return this.#relay(envelope);
  }

  roster(): void {}
  forget(): void {}
  async open(): Promise<boolean> { return true; }
  async room(): Promise<void> {}
}

/** Nobody has this number: a process that is only played is never met. */
const NOBODY = 4_194_304;

/** What a part's process is to be; all of it has a default. */
export interface RuntimeSetup<R extends ChildRole = ChildRole> {
  /** Default: `worker`. */
  role?: R;
  /** Default: 0, of the agent -1. */
  slot?: number;
  /** Keys of the resolved configuration that the part reads. */
  config?: Record<string, unknown>;
  /** What else the master would tell the process. */
  boot?: Partial<BootInfo>;
}

/** A line that was logged. */
export interface LoggedLine { level: string; message: string; [field: string]: unknown }

/** A process as a part of a plugin sees it, in the test's own process: the real runtime, with nobody but the test at its other end. */
export class TestRuntime<R extends ChildRole = ChildRole> {
  /** To be given to the part: `await part(test.runtime, options)`. */
  readonly runtime: Runtime<R>;
  /** The master's end of the channel: what the part says is heard here, and what is sent here it hears. */
  readonly master: Channel<'master', ChildRole>;
  /** What was logged, oldest first. */
  readonly logged: LoggedLine[] = [];
  /** What was sent by the messenger, oldest first. */
  readonly sent: Envelope[] = [];
  readonly #own: ChildRuntime;
  readonly #servers = new Set<Server>();

  constructor({ role = 'worker' as R, slot = role === 'agent' ? -1 : 0, config = {}, boot = {} }: RuntimeSetup<R> = {}) {
    const [ours, theirs] = ShortWire.pair();
    this.master = new Channel<'master', ChildRole>(ours);
    this.master.on('messenger.envelope', (envelope) => { this.sent.push(envelope); });
    const output = { write: (line: string) => { this.logged.push(JSON.parse(line) as LoggedLine); } };
    const load = () => ({ Bus: Straight as unknown as typeof Bus });
    const all = { ...bootOf(role, slot, config), ...boot };
    this.#own = new ChildRuntime(all, new Channel(theirs, { declaring: true }), { own: false, output, load });
    this.#own.leave = async (reason) => {
      await this.close(reason);
      return new Promise<never>(() => {});
    };
    this.runtime = this.#own as unknown as Runtime<R>;
  }

  /** What the app gets: with all that parts have added until now. */
  get context(): Context {
    return createContext(this.#own);
  }

  /** As the master's process does it when the parts have run: calls the taps of `boot`, and messages arrive from here on. */
  async boot(): Promise<void> {
    this.#own.channel.declared();
    await this.#own.hooks.boot.call(this.#own.boot);
    this.#own.ready = true;
    this.#own.messenger.started();
  }

  /** A message of another process arrives. */
  receive(action: string, data?: unknown, from: 'app' | 'agent' | 'master' | 'parent' = 'app'): void {
    this.master.send('messenger.envelope', { action, data, from, senderPid: NOBODY });
  }

  /**
   * Serves an app's listener, or a server of any kind, on a free port, with the part's taps of `server`, `listen`, `listening`,
   * `request` and `upgrade`; resolves with its address: `http://127.0.0.1:43117`.
   */
  async serve(app: RequestListener | Server): Promise<string> {
    const server: Server = typeof app === 'function' ? createServer(app) : app;
    const { hooks, servers } = this.#own;
    const options = { port: 0, host: '127.0.0.1' };
    hooks.server.call(server);
    gateRequests(server, this.#own);
    hooks.listen.call(server, options);
    await listen(server, options);
    const { port } = server.address() as AddressInfo;
    (servers as Set<Server>).add(server);
    this.#servers.add(server);
    const protocol = 'setSecureContext' in server ? 'https' : 'http';
    hooks.listening.call(server, { protocol, host: options.host, port });
    return `${protocol}://${options.host}:${port}`;
  }

  /** Closes as a process does: the signal is aborted, then `beforeClose`, then what `onClose` was given, last first, then its servers. */
  async close(reason: CloseReason = 'stop', timeout = 5_000): Promise<void> {
    const own = this.#own;
    if (own.closing === null) {
      const deadline = performance.now() + timeout;
      own.closing = { reason, timeout, deadline, streamDeadline: deadline, movedAt: null };
      own.abort.abort(reason);
      await own.hooks.beforeClose.call(own.closing);
      for (const { fn } of own.closers.splice(0).reverse()) await fn();
    }
    for (const server of this.#servers) {
      (server as { closeAllConnections?(): void }).closeAllConnections?.();
      server.close();
    }
    this.#servers.clear();
    this.master.end();
  }
}

/** A process of its own kind for the unit test of a part: nothing is forked, and nothing of the test's process is changed. */
export const createRuntime = <R extends ChildRole = 'worker'>(setup: RuntimeSetup<R> = {}): TestRuntime<R> => new TestRuntime<R>(setup);

const bootOf = (role: ChildRole, slot: number, config: Record<string, unknown>): BootInfo => ({
  role, slot, standby: false, id: 1, generation: 1, processTitle: 'test', timeout: 5_000, streamTimeout: 5_000, baseDir: process.cwd(),
  entry: { kind: 'none' }, words: { argv: [], execArgv: [] }, parts: [],
  listen: { port: 0, hasServer: true, named: false, expected: null },
  log: { level: 'debug', format: 'json', files: null },
  config: { title: 'test', workers: 1, messages: { outbox: 8 * 1024 * 1024, onFull: 'wait' }, ...config },
  hasAgent: true,
});

/** A child as hooks tell of it, for the unit test of a tap: every field may be given, and set later. */
export type FakeChild = { -readonly [Field in keyof ChildView]: ChildView[Field] } & {
  /** The child's own end of its channel: what the plugin says is heard here, and what is sent here it hears. */
  readonly peer: Channel<ChildRole, 'master'>;
};

let serial = 0;

/** See {@link FakeChild}; without a word a worker of slot 0 that is ready. */
export function fakeChild(given: Partial<ChildView> = {}): FakeChild {
  const [ours, theirs] = ShortWire.pair();
  const role = given.role ?? 'worker';
  const now = Date.now();
  return {
    role, id: ++serial, slot: role === 'agent' ? -1 : 0, standsBy: null, pid: NOBODY + serial, entry: null, dir: process.cwd(),
    state: 'ready', generation: 1, startedAt: now, readyAt: now, addresses: [], intent: null, operation: null, failure: null, waiting: null,
    onlyStreams: false, killAt: null, cut: null, explain: null,
    channel: new Channel<'master', ChildRole>(ours),
    peer: new Channel<ChildRole, 'master'>(theirs),
    ...given,
  };
}

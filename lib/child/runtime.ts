import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import type {
  Context, ChildHook, ClosingContext, HealthCheck, ListenOptions, Runtime, RuntimeHooks, ServedRequest, ServedResponse,
} from '../api/runtime.js';
import { CHANNEL_FD, Channel } from '../ipc/channel.js';
import type { Address, BootInfo, ChildRole } from '../ipc/messages.js';
import { Drops, Logger, type LogLevel } from '../kit/logger.js';
import { ProcessMessenger } from '../messenger/messenger.js';
import { openWire } from '../node/wire.js';
import { onSlowPath } from '../node/slow-paths.js';
import { giveBackIdle, noteOf } from './connections.js';
import { logOutput } from './output.js';
import { BailChildHook } from './request-hooks.js';

interface Tap<Args extends unknown[]> {
  name: string;
  fn: (...args: Args) => unknown;
}

/** tapable's `tap` and `tapPromise` without tapable, which would cost every worker's start 5 ms. Taps run in order. */
class Taps<Args extends unknown[]> {
  protected readonly taps: Tap<Args>[] = [];

  tap(name: string, fn: (...args: Args) => unknown): void {
    this.taps.push({ name, fn });
  }

  tapPromise(name: string, fn: (...args: Args) => Promise<unknown>): void {
    this.taps.push({ name, fn });
  }
}

export class SyncChildHook<Args extends unknown[]> extends Taps<Args> implements ChildHook<Args, void> {
  call(...args: Args): void {
    for (const { fn } of this.taps) fn(...args);
  }
}

/** Awaits each tap. `around` sees the name of a tap while it runs; an error ends the series unless `onError` takes it. */
export class SeriesChildHook<Args extends unknown[]> extends Taps<Args> implements ChildHook<Args, Promise<void>> {
  readonly #running: Set<string> | undefined;
  readonly #onError: ((error: unknown, name: string) => void) | undefined;

  constructor(running?: Set<string>, onError?: (error: unknown, name: string) => void) {
    super();
    this.#running = running;
    this.#onError = onError;
  }

  async call(...args: Args): Promise<void> {
    for (const { name, fn } of this.taps) {
      this.#running?.add(name);
      try {
        await fn(...args);
      } catch (error) {
        if (!this.#onError) throw error;
        this.#onError(error, name);
      } finally {
        this.#running?.delete(name);
      }
    }
  }
}

/** Characters of what is told of this process in one line. */
const LINE = 200;

/** A child's own channel, made before it knows anything of itself. */
export const openChannel = (): Channel<ChildRole, 'master'> => new Channel(openWire(CHANNEL_FD), { declaring: true });

/** The runtime of this process, as parts of plugins get it. */
export class ChildRuntime implements Runtime {
  readonly role: ChildRole;
  readonly slot: number;
  readonly boot: BootInfo;
  readonly config: Record<string, unknown>;
  readonly logger: Logger;
  readonly messenger: ProcessMessenger;
  readonly channel: Channel<ChildRole, 'master'>;
  readonly servers: ReadonlySet<Server> = new Set<Server>();
  readonly inner = new Set<Server>();
  readonly healthChecks: ReadonlyMap<string, HealthCheck> = new Map<string, HealthCheck>();
  readonly waiting: Runtime['waiting'] = { requests: 0, streams: 0, sockets: 0, tasks: new Set<string>() };
  readonly hooks: RuntimeHooks;
  readonly closers: { fn: () => unknown; name: string }[] = [];
  readonly abort = new AbortController();
  ready = false;
  printsFailure = true;
  /** Set once closing has begun. */
  closing: ClosingContext | null = null;
  /** Filled in by closing.ts, which needs the runtime first. */
  leave: Runtime['leave'] = () => Promise.reject(new Error('not booted yet'));

  /** `own`: this process is no other's; where it is the master's, what that hears of its parent is told on the process as well. */
  constructor(boot: BootInfo, channel: Channel<ChildRole, 'master'>, own = true) {
    this.boot = boot;
    this.role = boot.role;
    this.slot = boot.slot;
    this.config = boot.config;
    this.channel = channel;
    const label = boot.role === 'agent' ? 'agent' : `worker#${boot.slot}`;
    this.logger = new Logger({ label, level: boot.log.level as LogLevel, format: boot.log.format, output: logOutput });
    const drops = new Drops((text) => this.logger.warn(text));
    this.messenger = new ProcessMessenger((envelope) => {
      if (!channel.send('messenger.envelope', envelope) && channel.open) drops.add('messages to the master, which does not read,');
    }, () => boot.hasAgent);
    channel.on('messenger.envelope', (envelope) => {
      this.messenger.receive(envelope);
      // Code written for Egg's model (its own messenger, sendmessage) listens to the process.
      if (own) process.emit('message', envelope, undefined);
    });
    onSlowPath((what) => { channel.send('child.slowPath', what.slice(0, LINE)); });
    this.hooks = {
      boot: new SeriesChildHook<[BootInfo]>(),
      server: new SyncChildHook<[Server]>(),
      listen: new SyncChildHook<[Server, ListenOptions]>(),
      listening: new SyncChildHook<[Server, Address]>(),
      request: new BailChildHook<[ServedRequest, ServedResponse, Server]>(),
      upgrade: new BailChildHook<[ServedRequest, Duplex, Buffer, Server]>(),
      beforeClose: new SeriesChildHook<[ClosingContext]>(this.waiting.tasks, (error, name) => {
        this.logger.error(`${name} failed while closing`, { error });
      }),
    };
  }

  giveBackIdle(): Promise<number> {
    return giveBackIdle(this);
  }

  noteOf(connection: object): unknown {
    return noteOf(connection);
  }

  get signal(): AbortSignal {
    return this.abort.signal;
  }

  onClose(fn: () => unknown, name?: string): void {
    this.closers.push({ fn, name: (name || fn.name || `onClose #${this.closers.length + 1}`).slice(0, LINE) });
  }
}

/** What the app gets of it. `ready`: it says that it is. */
export function createContext(runtime: Runtime, ready: () => void = () => {}): Context {
  return {
    role: runtime.role,
    slot: runtime.slot,
    config: runtime.config,
    logger: runtime.logger,
    messenger: runtime.messenger,
    signal: runtime.signal,
    onClose: (fn, name) => runtime.onClose(fn, name),
    ready,
    health: (name, fn) => { (runtime.healthChecks as Map<string, HealthCheck>).set(name, fn); },
  };
}

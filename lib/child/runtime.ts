import type { Server } from 'node:net';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import type { Asking, CarryBroadcasts } from '../api/messenger.js';
import type {
  Context, ChildHook, ClosingContext, FrameworkPart, FrameworkServing, HealthCheck, ListenOptions, Runtime, RuntimeHooks, ServedRequest,
  ServedResponse,
} from '../api/runtime.js';
import { CHANNEL_FD, Channel } from '../ipc/channel.js';
import type { Address, Adoption, BootInfo, ChildRole, Envelope } from '../ipc/messages.js';
import { StartSteps } from '../ipc/ready.js';
import { ClusterError } from '../kit/errors.js';
import { Drops, Logger, type LogLevel, type LogOutput } from '../kit/logger.js';
import { ProcessMessenger, type Delivery } from '../messenger/messenger.js';
import type { Limit } from '../messenger/parcels.js';
import { Planes, type PlanesNeeds } from '../messenger/planes.js';
import { messageSlot } from '../messenger/router.js';
import { requireFile } from '../node/modules.js';
import { openWire } from '../node/wire.js';
import { onSlowPath } from '../node/slow-paths.js';
import { giveBackIdle, noteOf } from './connections.js';
import { logOutput } from './output.js';
import { BailChildHook, gateRequests } from './request-hooks.js';

interface Tap<Args extends unknown[]> {
  name: string;
  fn: (...args: Args) => unknown;
}

/** tapable's `tap` and `tapPromise` without tapable, which would cost every worker's start 5 ms. Taps run in order. */
class Taps<Args extends unknown[]> {
  readonly taps: Tap<Args>[] = [];

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

type BusModule = ReturnType<PlanesNeeds['load']>;
const loadBus = () => requireFile(path.join(import.meta.dirname, '../messenger/bus.cjs')) as BusModule;

/** A child's own channel, made before it knows anything of itself. */
export const openChannel = (): Channel<ChildRole, 'master'> => new Channel(openWire(CHANNEL_FD), { declaring: true });

/** Where a runtime is. */
interface Surroundings {
  /** This process is no other's; where it is the master's, what that hears of its parent is told on the process as well. */
  own?: boolean;
  /** In the log; by itself `worker#0`, `agent`. */
  name?: string;
  /** Where its log goes. */
  output?: LogOutput;
  load?: PlanesNeeds['load'];
}

/** The runtime of this process, as parts of plugins get it. */
export class ChildRuntime implements Runtime {
  readonly role: ChildRole;
  slot: number;
  readonly boot: BootInfo;
  readonly config: Record<string, unknown>;
  readonly logger: Logger;
  readonly messenger: ProcessMessenger;
  readonly planes: Planes;
  readonly channel: Channel<ChildRole, 'master'>;
  readonly servers: ReadonlySet<Server> = new Set<Server>();
  readonly inner = new Set<Server>();
  readonly healthChecks: ReadonlyMap<string, HealthCheck> = new Map<string, HealthCheck>();
  readonly waiting: Runtime['waiting'] = { requests: 0, streams: 0, sockets: 0, tasks: new Set<string>() };
  readonly hooks: RuntimeHooks;
  readonly closers: { fn: () => unknown; name: string }[] = [];
  readonly abort = new AbortController();
  readonly steps: StartSteps;
  /** Code of others than ours runs after this; undefined: at once. */
  readonly released: Promise<void> | undefined;
  readonly #own: boolean;
  /** What parts of plugins have added to the context. */
  readonly extras: Partial<Record<string, unknown>> = {};
  ready = false;
  printsFailure = true;
  /** Why the last listen of the app failed, while it starts. */
  refused: string | undefined;
  /** Set once closing has begun. */
  closing: ClosingContext | null = null;
  /** Filled in by closing.ts, which needs the runtime first. */
  leave: Runtime['leave'] = () => Promise.reject(new Error('not booted yet'));

  constructor(boot: BootInfo, channel: Channel<ChildRole, 'master'>, around: Surroundings = {}) {
    const { own = true, output = logOutput, load = loadBus, name = labelOf(boot) } = around;
    this.#own = own;
    this.boot = boot;
    this.role = boot.role;
    this.slot = boot.slot;
    this.config = boot.config;
    this.channel = channel;
    this.logger = new Logger({ label: name, level: boot.log.level as LogLevel, format: boot.log.format, output });
    const drops = new Drops((text) => this.logger.warn(text));
    this.planes = new Planes({
      channel, logger: this.logger, drops, load, self: { pid: process.pid, slot: messageSlot(boot) },
      limit: boot.config.messages as Limit,
      receive: (envelope, bytes, answer) => this.#receive(envelope, { bytes, answer }),
    });
    this.messenger = new ProcessMessenger(this.planes, () => boot.hasAgent);
    this.messenger.starting();
    channel.on('messenger.envelope', (envelope) => { void this.#receive(envelope); });
    this.steps = new StartSteps((steps) => { channel.send('child.steps', steps); }, (text) => this.logger.warn(text));
    if (boot.held) this.released = new Promise((resolve) => { channel.on('child.go', () => resolve()); });
    onSlowPath((what) => { channel.send('child.slowPath', what.slice(0, LINE)); });
    const tapped = (): void => { for (const server of this.servers) gateRequests(server, this); };
    this.hooks = {
      boot: new SeriesChildHook<[BootInfo]>(),
      server: new SyncChildHook<[Server]>(),
      listen: new SyncChildHook<[Server, ListenOptions]>(),
      listening: new SyncChildHook<[Server, Address]>(),
      request: new BailChildHook<[ServedRequest, ServedResponse, Server]>(tapped),
      upgrade: new BailChildHook<[ServedRequest, Duplex, Buffer, Server]>(tapped),
      frameworkMade: new SyncChildHook<[FrameworkPart]>(),
      frameworkReady: new SeriesChildHook<[FrameworkPart, FrameworkServing | null]>(),
      startFailed: new SyncChildHook<[unknown]>(),
      beforeClose: new SeriesChildHook<[ClosingContext]>(this.waiting.tasks, (error, name) => {
        this.logger.error(`${name} failed while closing`, { error });
      }),
    };
  }

  /** It has stood by, and has a slot from now on. */
  adopt({ slot, processTitle, expected }: Adoption): void {
    const { boot } = this;
    this.slot = slot;
    Object.assign(boot, { slot, processTitle, standby: false, listen: { ...boot.listen, expected } });
    process.env.CLUSTER_SLOT = String(slot);
    process.title = processTitle;
    this.logger.label = labelOf(boot);
  }

  #receive(envelope: Envelope, delivery: Delivery = {}): Promise<unknown> | void {
    const unfinished = this.messenger.receive(envelope, delivery);
    // Code with a messenger of its own (Egg's, sendmessage) listens to the process.
    if (this.#own && envelope.action !== '') process.emit('message', envelope, undefined);
    return unfinished;
  }

  giveBackIdle(most?: number): Promise<number> {
    return giveBackIdle(this, most);
  }

  noteOf(connection: object): unknown {
    return noteOf(connection);
  }

  get signal(): AbortSignal {
    return this.abort.signal;
  }

  extendContext<Name extends keyof Context & string>(name: Name, value: Context[Name]): void {
    if (this.extras[name] !== undefined || OWN.has(name)) {
      throw new ClusterError('ERR_CLUSTER_PLUGIN', `"${name}" of the context is taken already`);
    }
    this.extras[name] = value;
  }

  carryBroadcasts(carry: CarryBroadcasts): void {
    if (this.messenger.carry) throw new ClusterError('ERR_CLUSTER_PLUGIN', 'another plugin carries broadcasts to other hosts already');
    this.messenger.carry = carry;
  }

  ask(pid: number, asking: Asking): void {
    this.messenger.ask(pid, asking);
  }

  deliver(envelope: Envelope): void {
    try {
      void this.#receive(envelope);
    } catch (error) {
      // A listener's own, as from any other process.
      process.nextTick(() => { throw error; });
    }
  }

  onClose(fn: () => unknown, name?: string): void {
    this.closers.push({ fn, name: (name || fn.name || `onClose #${this.closers.length + 1}`).slice(0, LINE) });
  }
}

const labelOf = ({ role, slot, standby }: BootInfo): string => role === 'agent' ? 'agent' : standby ? 'standby' : `worker#${slot}`;

/** What the context has of itself. */
const OWN: ReadonlySet<string> = new Set(['role', 'slot', 'config', 'logger', 'messenger', 'signal', 'onClose', 'ready', 'step', 'health']);

const isOff = (call: string, plugin: string) => (): never => {
  throw new ClusterError('ERR_CLUSTER_USAGE', `context.${call}: the plugin "${plugin}" is switched off`);
};

/** What the app gets of it. `ready`: it says that it is. */
export function createContext(runtime: ChildRuntime, ready: () => void = () => {}): Context {
  return {
    shareClient: isOff('shareClient', 'shared-clients'),
    lead: isOff('lead', 'hosts'),
    ...runtime.extras,
    role: runtime.role,
    get slot() { return runtime.slot; },
    config: runtime.config,
    logger: runtime.logger,
    messenger: runtime.messenger,
    signal: runtime.signal,
    onClose: (fn, name) => runtime.onClose(fn, name),
    ready,
    step: (name, options) => runtime.steps.begin(name, options),
    health: (name, fn) => { (runtime.healthChecks as Map<string, HealthCheck>).set(name, fn); },
  };
}

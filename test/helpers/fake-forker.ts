import type { ChildProcess } from 'node:child_process';
import type { Worker } from 'node:cluster';
import { EventEmitter } from 'node:events';
import type { ForkSpec } from '../../lib/api/hooks.js';
import { CHANNEL_FD, Channel } from '../../lib/ipc/channel.js';
import type { Adoption, BootInfo, CloseReason, Envelope, Served } from '../../lib/ipc/messages.js';
import type { Forked } from '../../lib/master/processes/forked.js';
import type { Wire } from '../../lib/node/wire.js';
import { setImmediate as immediate } from 'node:timers/promises';

/** Some turns of the event loop, for all that is already sure to happen. Not what mock timers stand for. */
export async function turns(count = 6): Promise<void> {
  for (let turn = 0; turn < count; turn++) await immediate();
}

/** One end of a pipe that has no kernel between its ends: what is written is there at once. */
class FakeWire extends EventEmitter implements Wire {
  writable = true;
  readonly writableLength = 0;
  peer!: FakeWire;

  static pair(): [FakeWire, FakeWire] {
    const ends: [FakeWire, FakeWire] = [new FakeWire(), new FakeWire()];
    [ends[0].peer, ends[1].peer] = [ends[1], ends[0]];
    return ends;
  }

  write(data: Buffer): void {
    if (this.peer.writable) this.peer.emit('data', data);
  }

  ref(): void {}
  unref(): void {}

  destroy(): void {
    for (const end of [this, this.peer]) {
      if (!end.writable) continue;
      end.writable = false;
      end.emit('close');
    }
  }
}

/** What node's ChildProcess is to the master, with nobody behind it. */
class FakeProcess extends EventEmitter {
  exitCode: number | null = null;
  signalCode: NodeJS.Signals | null = null;
  connected = true;
  /** Handles and messages over Node's own channel. */
  readonly sent: unknown[] = [];
  readonly pid: number | undefined;
  readonly stdio: unknown[] | undefined;

  constructor(pid: number | undefined, stdio: unknown[] | undefined) {
    super();
    this.pid = pid;
    this.stdio = stdio;
  }

  send(...args: unknown[]): boolean {
    this.sent.push(args[0]);
    return true;
  }
}

/** No process of Linux has a number above this. */
const NOBODY = 4_194_304;

/** How a fake process behaves by itself; a test changes it for all that come, or for one. */
export interface Manners {
  /** Exits with 0 when it is asked to close. */
  obeys: boolean;
  /** Ends when it is killed. */
  dies: boolean;
  /** Milliseconds that either takes; 0: a turn of the event loop. */
  takes: number;
  /** Is ready, a turn after its fork. */
  boots: boolean;
}

/** A process as a test plays it: says what a child says, and shows what the master has told it. */
export class FakeChild {
  readonly spec: ForkSpec;
  readonly pid: number;
  readonly process: FakeProcess;
  readonly worker: EventEmitter | null;
  readonly manners: Manners;
  boot: BootInfo | null = null;
  /** Reasons of the closes that it was told, in order. */
  readonly closes: CloseReason[] = [];
  readonly envelopes: Envelope[] = [];
  /** As which worker it was adopted. */
  adoption: Adoption | null = null;
  /** It was told that it may run the app. */
  went = false;
  /** How often it was told to end its streams. */
  moves = 0;
  /** It was told that it is about to be killed. */
  hurried = false;
  kills = 0;
  readonly channel: Channel<'worker', 'master'>;

  constructor(spec: ForkSpec, pid: number, manners: Manners) {
    const [ours, theirs] = FakeWire.pair();
    this.spec = spec;
    this.pid = pid;
    this.manners = { ...manners };
    const stdio: unknown[] = [null, null, null, null];
    stdio[CHANNEL_FD] = ours;
    this.process = new FakeProcess(pid, stdio);
    this.worker = spec.role === 'worker' ? new EventEmitter() : null;
    this.channel = new Channel<'worker', 'master'>(theirs);
    this.channel.on('child.boot', (boot) => {
      this.boot = boot;
      if (manners.boots && !spec.standby) setImmediate(() => this.ready());
    });
    this.channel.on('messenger.envelope', (envelope) => { this.envelopes.push(envelope); });
    this.channel.on('child.adopt', (adoption) => { this.adoption = adoption; });
    this.channel.on('child.go', () => { this.went = true; });
    this.channel.on('child.move', () => { this.moves++; });
    this.channel.on('child.hurry', () => { this.hurried = true; });
    this.channel.on('child.close', ({ reason }) => {
      this.closes.push(reason);
      if (this.manners.obeys) this.#soon(() => this.exits(0));
    });
  }

  get forked(): Forked {
    return {
      process: this.process as unknown as ChildProcess,
      worker: this.worker as Worker | null,
      kill: () => {
        this.kills++;
        if (this.manners.dies) this.#soon(() => this.exits(null, 'SIGKILL'));
      },
    };
  }

  #soon(then: () => void): void {
    if (this.manners.takes > 0) setTimeout(then, this.manners.takes);
    else setImmediate(then);
  }

  get alive(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** The reason of the last close that it was told. */
  get asked(): CloseReason | null {
    return this.closes.at(-1) ?? null;
  }

  get killed(): boolean {
    return this.kills > 0;
  }

  hello(): void {
    this.channel.send('child.hello', { node: process.version });
  }

  ready(address?: Partial<Served>, how: { missing?: string[]; instead?: boolean } = {}): void {
    const served = { protocol: 'http', port: 7001, configured: true, own: false, ...address } as const;
    const addresses = address ? [{ name: address.path ?? `*:${served.port}`, ...served }] : [];
    this.channel.send('child.ready', { addresses, missing: [], instead: false, ...how });
  }

  /** It stands by, and has loaded the app. */
  loads(): void {
    this.hello();
    this.channel.send('child.standby', null);
  }

  /** It has heard of its adoption. */
  hears(): void {
    this.channel.send('child.adopted', null);
  }

  fails(error: Error): void {
    const { name, message, stack } = error;
    this.channel.send('child.failed', { phase: 'boot', error: { name, message, stack } });
  }

  leaves(reason: CloseReason = 'signal'): void {
    this.channel.send('child.leaving', { reason });
  }

  says(envelope: Envelope): void {
    this.channel.send('messenger.envelope', envelope);
  }

  /** Node's 'exit', then the ends of both channels; or, with `pipe`, these ends before it, or never. */
  exits(
    code: number | null = 1, signal: NodeJS.Signals | null = null, { pipe = 'after' }: { pipe?: 'before' | 'after' | 'never' } = {},
  ): void {
    if (!this.alive) return;
    this.process.exitCode = code;
    this.process.signalCode = signal;
    if (pipe === 'before') this.closesPipe();
    this.process.emit('exit', code, signal);
    if (pipe === 'after') this.closesPipe();
    this.disconnects();
  }

  /** Its end of the pipe to the master. */
  closesPipe(): void {
    this.channel.end();
  }

  /** Node's own channel. */
  disconnects(): void {
    if (!this.process.connected) return;
    this.process.connected = false;
    this.process.emit('disconnect');
    this.worker?.emit('disconnect');
  }
}

/** Stands in for what starts processes: the Forker, its gates and its Children are the real ones. */
export class FakeForks {
  /** All that were forked, in order. */
  readonly all: FakeChild[] = [];
  readonly manners: Manners = { obeys: true, dies: true, takes: 0, boots: false };
  /** The next forks fail: with this error at once, or, as where descriptors are used up, a moment later and without streams. */
  failing: Error | 'no descriptors' | null = null;

  readonly start = (spec: ForkSpec): Forked => {
    if (this.failing === 'no descriptors') return withoutStreams();
    if (this.failing) throw this.failing;
    const child = new FakeChild(spec, NOBODY + this.all.length + 1, this.manners);
    this.all.push(child);
    return child.forked;
  };

  get last(): FakeChild {
    return this.all.at(-1) as FakeChild;
  }

  get alive(): FakeChild[] {
    return this.all.filter((child) => child.alive);
  }

  of(slot: number): FakeChild[] {
    return this.all.filter((child) => child.spec.slot === slot);
  }

  /** The last one of a slot; -1: the agent. */
  in(slot: number): FakeChild {
    const found = this.of(slot).at(-1);
    if (!found) throw new Error(`nothing was forked for slot ${slot}`);
    return found;
  }
}

/** EMFILE: no pid, no streams, the error comes in the next tick, and node:cluster's worker says it again. */
function withoutStreams(): Forked {
  const process_ = new FakeProcess(undefined, undefined);
  const worker = new EventEmitter();
  process_.on('error', (error) => worker.emit('error', error));
  process.nextTick(() => process_.emit('error', Object.assign(new Error('spawn EMFILE'), { code: 'EMFILE' })));
  return { process: process_ as unknown as ChildProcess, worker: worker as Worker, kill: () => {} };
}

import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { childTable, type ChildEvent, type ChildState, type ChildView, type ExitCause, type ExitInfo } from '../../api/child.js';
import { CHANNEL_FD, Channel } from '../../ipc/channel.js';
import { Intake, plainly, valid } from '../../ipc/intake.js';
import {
  type BootInfo, type ChildRole, type CloseReason, type CutRequests, type Served, type StartStep, type Waiting,
} from '../../ipc/messages.js';
import type { ErrorData } from '../../kit/errors.js';
import type { Faults } from '../../kit/faults.js';
import { createDebug } from '../../kit/logger.js';
import { Handover } from '../connections/handover.js';
import { causeOf, cutAtEnd, explanation, hearEnds, hearFacts, type Forked } from './forked.js';
import { guardNode } from './node-messages.js';
import { TimeLimit } from './time-limit.js';

const debug = createDebug('hatchery:child');

export interface ChildListener {
  /** It has entered `ready`. */
  ready(child: Child): void;
  /** It closes by its own decision. */
  leaving(child: Child, reason: CloseReason): void;
  /** It drains, and nothing but streams is left of it. */
  onlyStreams(child: Child): void;
}

export interface ForkListener extends ChildListener {
  /** The gates are through, which may have taken their time. @throws when the process is not wanted any more */
  starts(): void;
}

/** How long a child that is not ready yet gets to close: it has nothing in flight. ms. */
const CLOSE_BEFORE_READY = 1_000;
/** What it may take longer than that, ms. */
const MARGIN_UNREADY = 500;

/**
 * The master's view of one process: raw Node events go through the table, states come out. It decides nothing about
 * replacements; that is its slot's part.
 */
export class Child implements ChildView {
  readonly role: ChildRole;
  readonly id: number;
  slot: number;
  readonly pid: number;
  readonly entry: string | null;
  readonly dir: string;
  readonly generation: number;
  listen: BootInfo['listen'];
  startedAt = Date.now();
  startedTick = performance.now();
  standsBy: ChildView['standsBy'];
  /** Whose it is: its slot's, or of those that stand by. */
  listener: ChildListener;
  readonly time: TimeLimit;
  readonly channel: Channel<'master', ChildRole>;
  readonly process: ChildProcess;
  /** How a worker gets its connections, where the master accepts them. */
  readonly handover: Handover | null;
  /** Resolves once, when the process is really gone. */
  readonly exited: Promise<ExitInfo>;
  /** Resolves when it enters `ready`; never, when it does not. */
  readonly becameReady: Promise<void>;
  /** Resolves when it is gone, or holds its place no more as nothing but streams is left of it. */
  readonly replaced: Promise<void>;
  /** Resolves when it leaves `ready`, by whatever way. */
  readonly leftReady: Promise<void>;

  state: ChildState = 'forked';
  addresses: Served[] = [];
  hasLooked = false;
  missing: string[] = [];
  instead = false;
  readyAt: number | null = null;
  intent: CloseReason | null = null;
  failure: { error: ErrorData; output?: string } | null = null;
  waiting: Waiting | null = null;
  /** Nothing but streams is left of it: it is out of its slot. */
  onlyStreams = false;
  operation: string | null = null;
  /** What its start waits for, beside the app. */
  steps: StartStep[] = [];
  cut: CutRequests | null = null;
  /** What its Node does not have, a line each. */
  readonly slowPaths = new Set<string>();
  exit: ExitInfo | null = null;
  causeOfDeath: ExitCause | null = null;
  /** Where its messages go, by its own pipe or by `process.send`; set by who delivers them. */
  deliver: (message: unknown) => void = () => {};

  readonly #forked: Forked;
  readonly #faults: Faults;
  /** Milliseconds of a drain, as it was told at its boot. */
  readonly #longest: number;
  #explain: ChildView['explain'] = null;
  #resolveExit!: (exit: ExitInfo) => void;
  #resolveReady!: () => void;
  #resolveLeft!: () => void;
  #resolveReplaced!: () => void;

  constructor(forked: Forked, boot: BootInfo, listener: ChildListener, startTimeout: number, faults: Faults) {
    this.#forked = forked;
    this.#faults = faults;
    this.process = forked.process;
    this.handover = forked.worker && new Handover(forked.process, faults, (reason) => this.cutOff(reason));
    this.time = new TimeLimit((then) => this.#guard('time limit', then), () => void this.kill(this.intent ?? 'signal'));
    this.role = boot.role;
    this.id = boot.id;
    this.slot = boot.slot;
    this.standsBy = boot.standby ? 'loading' : null;
    this.generation = boot.generation;
    this.entry = 'file' in boot.entry ? boot.entry.file : null;
    this.dir = boot.baseDir;
    this.#longest = boot.timeout;
    this.listen = boot.listen;
    this.pid = forked.process.pid ?? -1;
    this.listener = listener;
    this.exited = new Promise((resolve) => { this.#resolveExit = resolve; });
    this.becameReady = new Promise((resolve) => { this.#resolveReady = resolve; });
    this.leftReady = new Promise((resolve) => { this.#resolveLeft = resolve; });
    this.replaced = new Promise((resolve) => { this.#resolveReplaced = resolve; });
    // Node gives no streams where descriptors are used up; its error comes a moment later (test/unit/child.test.ts).
    const streams = forked.process.stdio as typeof forked.process.stdio | undefined;
    const misused = (reason: string) => this.cutOff(reason);
    const intake = new Intake();
    this.channel = new Channel((streams?.[CHANNEL_FD] ?? new PassThrough().destroy()) as Socket, {
      guard: { intake, misused }, fault: (type, error) => faults.caught(`${this.#name}: "${type}"`, error),
    });
    guardNode(forked.process, intake, misused);
    this.#listen();
    this.channel.send('child.boot', boot);
    this.time.arm(startTimeout, () => void this.kill('startTimeout'));
  }

  #listen(): void {
    const { channel } = this;
    channel.on('child.hello', () => { this.#apply('hello'); }, valid['child.hello']);
    channel.on('child.ready', ({ addresses, missing, instead }) => {
      Object.assign(this, { addresses: plainly(addresses), missing, instead, failure: null });
      if (this.state === 'forked') this.#apply('hello');
      this.#apply('ready');
    }, valid['child.ready']);
    channel.on('child.leaving', ({ reason }) => { this.#leave(reason); }, valid['child.leaving']);
    channel.on('child.lastLines', () => { if (this.state === 'draining') this.time.forReader(); }, valid['child.lastLines']);
    channel.on('child.onlyStreams', () => this.#leaveStreams(), valid['child.onlyStreams']);
    hearFacts(this, channel);
    channel.on('messenger.envelope', (envelope) => this.deliver(envelope));
    this.process.on('message', this.#guard('message', (message) => this.deliver(message)));
    hearEnds(this.#forked, channel, (what, then) => this.#guard(what, then), {
      // Libraries such as Egg's graceful do so after an uncaught exception.
      leaves: () => { if (this.state === 'ready') this.#leave(this.failure ? 'uncaught' : 'signal'); },
      isLost: () => {
        if (this.state === 'exited' || this.state === 'killing') return;
        this.causeOfDeath ??= 'lostChannel';
        void this.kill('abort');
      },
      isNone: (error) => {
        this.failure ??= { error: { name: error.name, message: error.message, stack: error.stack } };
        this.#gone(1, null);
      },
      hasGone: (code, signal) => this.#gone(code, signal),
    });
  }

  get killAt(): number | null { return this.time.killAt; }
  get explain(): ChildView['explain'] { return this.#explain; }
  set explain(explain) { this.#explain = explanation(explain); }

  get #name(): string { return this.role === 'agent' ? 'agent' : this.standsBy ? 'standby' : `worker#${this.slot}`; }

  #guard<Args extends unknown[]>(what: string, then: (...args: Args) => unknown): (...args: Args) => void {
    return this.#faults.guard(`${this.#name}: ${what}`, then);
  }

  /**
   * Asks it to drain and exit within `timeout` ms, or `streamTimeout` where nothing but streams is left; kills it with its tree
   * when it does not.
   */
  close(reason: CloseReason, timeout: number, streamTimeout = timeout): Promise<ExitInfo> {
    const wasReady = this.state === 'ready';
    if (childTable[this.state].close) {
      this.intent = reason;
      const limit = wasReady ? timeout : Math.min(timeout, CLOSE_BEFORE_READY);
      this.#apply('close');
      this.channel.send('child.close', { reason, timeout: limit, streamTimeout });
      if (wasReady) this.time.drain(limit, streamTimeout);
      else this.time.arm(limit + MARGIN_UNREADY, () => void this.kill(reason));
    } else if (this.state === 'draining') {
      const isAnew = !this.time.armed || (this.onlyStreams && reason === 'stop');
      const left = isAnew ? timeout : this.time.left;
      this.channel.send('child.close', { reason, timeout: left, streamTimeout: left });
      if (isAnew) this.time.drain(left);
      else if (reason === 'stop') this.time.hasten();
    }
    return this.exited;
  }

  /** SIGKILL, with everything it has started. */
  kill(reason: CloseReason): Promise<ExitInfo> {
    if (this.state === 'exited') return this.exited;
    this.intent = this.intent && this.intent !== 'stop' ? this.intent : reason;
    if (reason === 'unresponsive' || reason === 'startTimeout') this.intent = reason;
    this.#apply('kill');
    void this.#faults.run(`${this.#name}: kill`, () => this.#forked.kill());
    return this.exited;
  }

  /** Time limits (ms) for a child that leaves by itself. */
  limit(timeout: number, streamTimeout = timeout): void {
    if (this.state === 'draining') this.time.drain(timeout, streamTimeout);
  }

  /** Ends what streams it still has within `timeout` ms. */
  move(timeout: number): void {
    if (!this.onlyStreams || this.state !== 'draining' || this.time.left <= timeout) return;
    this.channel.send('child.move', { timeout });
    this.time.drain(timeout);
  }

  /** What a child says is believed where its streams may take longer, and only then. */
  #leaveStreams(): void {
    if (this.state !== 'draining' || this.onlyStreams || !this.time.forStreams()) return;
    this.onlyStreams = true;
    this.listener.onlyStreams(this);
    this.#resolveReplaced();
  }

  /** After a fault: an end that was not seen, or a signal that was not sent, is seen to now. */
  lookAgain(): void {
    const { exitCode, signalCode } = this.process;
    if (this.pid > 0 && (exitCode !== null || signalCode !== null)) this.#gone(exitCode, signalCode);
    else if (this.state === 'killing') void this.#faults.run(`${this.#name}: kill`, () => this.#forked.kill());
    else if (this.state === 'draining' && !this.time.armed) this.limit(this.#longest);
  }

  /** Resolves when it is ready or gone. */
  async settled(): Promise<void> {
    if (this.state !== 'ready' && this.state !== 'exited') await Promise.race([this.becameReady, this.exited]);
  }

  /** It has broken the rules of its channels: nothing more of it is heard, and it is killed, to be replaced. */
  cutOff(reason: string): void {
    if (this.causeOfDeath === 'cutOff' || this.state === 'killing' || this.state === 'exited') return;
    this.causeOfDeath = 'cutOff';
    this.failure = { error: { name: 'ClusterError', code: 'ERR_CLUSTER_CUT_OFF', message: `cut off, as ${reason}` } };
    this.channel.ignore();
    void this.kill('abort');
  }

  #leave(reason: CloseReason): void {
    if (!childTable[this.state].close) return;
    this.intent = reason;
    this.#apply('close');
    this.#faults.run(`${this.#name}: leaving`, () => this.listener.leaving(this, reason));
  }

  #gone(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.state === 'exited') return;
    const cause = this.causeOfDeath ?? causeOf(this, { code, signal }, this.#faults);
    this.#faults.run(`${this.#name}: exit`, () => { this.cut = cutAtEnd(this); });
    const uptime = Math.round(performance.now() - this.startedTick);
    this.exit = { cause, code, signal, uptime, overdue: this.time.overdue, cut: this.cut?.count };
    this.#apply('exit');
    this.channel.end();
    this.#resolveExit(this.exit);
    this.#resolveReplaced();
  }

  #apply(event: ChildEvent): boolean {
    const from = this.state;
    const to = childTable[from][event];
    if (!to) {
      debug('%s#%d:%d ignores %s in %s', this.role, this.id, this.pid, event, from);
      return false;
    }
    // A timer belongs to its state: the start's limit ends with ready, a drain's with the exit. hello starts no new state of waiting.
    if (event !== 'hello') this.time.disarm();
    this.state = to;
    if (to === 'ready') this.readyAt = Date.now();
    debug('%s#%d:%d %s -> %s', this.role, this.id, this.pid, from, to);
    if (to === 'ready') {
      this.#faults.run(`${this.#name}: ready`, () => this.listener.ready(this));
      this.#resolveReady();
    }
    if (from === 'ready') this.#resolveLeft();
    return true;
  }
}

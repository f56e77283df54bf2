import { ClusterError, messageOf } from '../kit/errors.js';
import type { StartStep } from './messages.js';
import { show } from '../kit/misuse.js';
import { TOLD_STEPS } from './intake.js';

/**
 * How code anywhere in a worker says that it is ready, where nothing shows it: by `ready()` of `hatchery/runtime`, in the main
 * thread or in a thread of its own, or by `process.send('ready')`, as PM2 has it. What says it and what hears it are bundles of
 * their own, so they meet in what the process has once.
 */
const SAID = Symbol.for('hatchery.ready');
/** Of the channel between the threads of this process; no other process has it. */
const CHANNEL = 'hatchery.ready';
/** Milliseconds after which a thread says it again: the main thread may be too busy to have heard of that thread yet. */
const AGAIN = 50;

type Emitter = { emit(name: symbol): boolean; once(name: symbol, then: () => void): void };

/** Loading it would cost every worker's start a millisecond. */
const threads = () => process.getBuiltinModule('node:worker_threads');

/**
 * Says that this worker is ready, whether it listens or not. Nothing happens when it is ready already, in the agent, and in a
 * process that is not ours.
 */
export function ready(): void {
  const { isMainThread, BroadcastChannel } = threads();
  if (isMainThread) {
    (process as unknown as Emitter).emit(SAID);
    return;
  }
  const channel = new BroadcastChannel(CHANNEL);
  const say = () => channel.postMessage('ready');
  const timer = setInterval(say, AGAIN).unref();
  channel.onmessage = ({ data }: { data?: unknown }) => {
    if (data !== 'heard') return;
    clearInterval(timer);
    channel.close();
  };
  (channel as unknown as { unref(): void }).unref();
  say();
}

/** Calls `then` when somebody in this process says that it is ready; to be called before anything of the app is loaded. */
export function hearReady(then: () => void): void {
  (process as unknown as Emitter).once(SAID, then);
  hearSent(then);
  // Emitted for each thread that is started: without one there is nothing to open.
  process.once('worker', () => {
    const channel = new (threads().BroadcastChannel)(CHANNEL);
    channel.onmessage = ({ data }: { data?: unknown }) => {
      if (data !== 'ready') return;
      channel.postMessage('heard');
      then();
    };
    (channel as unknown as { unref(): void }).unref();
  });
}

function hearSent(then: () => void): void {
  const { send } = process;
  if (!send) return;
  process.send = function hear(this: NodeJS.Process, ...args: unknown[]) {
    if (args[0] === 'ready') then();
    return Reflect.apply(send as (...args: unknown[]) => boolean, this, args);
  };
}

/** How long a step of a start may take, and what it means when it fails. */
export interface StepOptions {
  /** Milliseconds until it is given up: 10,000 for a weak one; else by itself as long as the start has. */
  timeout?: number;
  /** The start goes on without it, when it fails or takes too long; the log says so. */
  weak?: boolean;
}

/** Ends a step; with an error it has failed. Another call does nothing. */
export type StepDone = (error?: unknown) => void;

/** Milliseconds that a weak step may take, unless told. */
const WEAK = 10_000;
/** Characters of a name. */
const NAME = 200;
/** Where code finds them that is of another bundle (lib/child/application.ts). */
const STEPS = Symbol.for('hatchery.steps');

/**
 * A step of the start of this process, of code that has no context; in a process that is not ours, or is ready, it is nothing.
 * `late`: its time is over.
 */
export function stepOf(name: string, options: StepOptions, late: (error: unknown) => void): StepDone {
  const steps = Reflect.get(process, STEPS) as Pick<StartSteps, 'begin' | 'over'> | undefined;
  return steps && !steps.over ? steps.begin(name, options, late) : () => {};
}

/**
 * Shows what the start of this process waits for, such as `the shared client "registry"`, until what it returns is called: in
 * `status`, and in the message of a start that hangs. Nothing waits for it on its account.
 */
export function startWaits(what: string): () => void {
  const steps = Reflect.get(process, STEPS) as Pick<StartSteps, 'show'> | undefined;
  return steps?.show(what) ?? (() => {});
}

/** What a start waits for beside the app, by name: it is not ready before these are done. */
export class StartSteps {
  over = false;
  /** Rejects with the first failure. */
  readonly failed: Promise<never>;
  readonly #steps = new Set<StartStep & { settle(): void }>();
  /** What others wait for. */
  readonly #shown = new Set<StartStep>();
  readonly #tell: (steps: StartStep[]) => void;
  readonly #warn: (text: string) => void;
  #failure: { error: unknown } | null = null;
  #fail!: (error: unknown) => void;
  #changed = () => {};
  #telling = false;

  /** `tell` is called with what is waited for, whenever that changes. */
  constructor(tell: (steps: StartStep[]) => void, warn: (text: string) => void) {
    this.failed = new Promise((_, reject) => { this.#fail = reject; });
    this.failed.catch(() => {});
    this.#tell = tell;
    this.#warn = warn;
    Reflect.set(process, STEPS, this);
  }

  /** @throws ClusterError ERR_CLUSTER_USAGE for what is no name, or once the start is over */
  begin(
    name: string, options: StepOptions = {}, gaveUp: (error: unknown) => void = () => {},
  ): StepDone {
    if (typeof name !== 'string' || name === '') throw new ClusterError('ERR_CLUSTER_USAGE', 'a step of a start needs a name');
    if (typeof options !== 'object' || options === null || !Object.keys(options).every((key) => key === 'timeout' || key === 'weak')) {
      throw new ClusterError('ERR_CLUSTER_USAGE', `the options of step "${name}" are { timeout, weak }, found ${show(options)}`);
    }
    const { weak = false, timeout = weak ? WEAK : undefined } = options;
    if (timeout !== undefined && !(timeout > 0 && timeout < 2 ** 31)) {
      throw new ClusterError('ERR_CLUSTER_USAGE', `the timeout of step "${name}" is a number of milliseconds, found ${String(timeout)}`);
    }
    if (this.over) throw new ClusterError('ERR_CLUSTER_USAGE', `the step "${name}" begins when the start is over`);
    const late = () => {
      const error = new ClusterError('ERR_CLUSTER_START_TIMEOUT', `the step "${name}" was not done within ${timeout} ms`);
      done(error);
      gaveUp(error);
    };
    // Without one it keeps the process up all the same.
    const timer = setTimeout(timeout === undefined ? () => {} : late, timeout ?? 2 ** 31 - 1);
    const step = { name: `the step "${name.slice(0, NAME)}"`, since: Date.now(), settle: () => clearTimeout(timer) };
    const done: StepDone = (error) => {
      if (!this.#steps.delete(step)) return;
      step.settle();
      if (error !== undefined && error !== null) this.#failed(name, error, weak);
      this.#told();
      this.#changed();
    };
    this.#steps.add(step);
    this.#told();
    return done;
  }

  show(name: string): () => void {
    const one = { name: name.slice(0, NAME), since: Date.now() };
    this.#shown.add(one);
    this.#told();
    return () => {
      this.#shown.delete(one);
      this.#told();
    };
  }

  /** Resolves when all are done that have begun, or one has failed; the start goes on. */
  async idle(): Promise<void> {
    while (this.#steps.size > 0 && !this.#failure) await new Promise<void>((resolve) => { this.#changed = resolve; });
  }

  /** Resolves when all are done, those too that begin meanwhile; rejects with the first failure. */
  async settled(): Promise<void> {
    if (this.#steps.size > 0) await this.idle();
    this.over = true;
    for (const { settle } of this.#steps) settle();
    if (this.#failure) throw this.#failure.error;
  }

  #failed(name: string, error: unknown, weak: boolean): void {
    if (weak) this.#warn(`the start goes on without the step "${name}": ${messageOf(error)}`);
    else {
      this.#failure ??= { error };
      this.#fail(error);
    }
  }

  /** Several changes of one turn at once. */
  #told(): void {
    if (this.#telling || this.over) return;
    this.#telling = true;
    queueMicrotask(() => {
      this.#telling = false;
      if (!this.over) this.#tell([...this.#steps, ...this.#shown].slice(0, TOLD_STEPS).map(({ name, since }) => ({ name, since })));
    });
  }
}

import { EventEmitter } from 'node:events';
import type { RequestListener } from 'node:http';
import { stepOf, type StepOptions } from '../ipc/ready.js';

/** What a framework's classes are made with; a framework may add options of its own. */
export interface FrameworkOptions {
  /** The app's directory, absolute. */
  baseDir: string;
  /** A free port on the loopback interface, the same for agent and workers, for the framework's own use. */
  clusterPort?: number;
  [option: string]: unknown;
}

type Step = () => unknown;

interface Start extends StepOptions {
  name?: string;
  step: Step;
}

/**
 * One start and one close: steps run in order, each awaited, after the constructor is done. `ready` takes callbacks and
 * gives a promise; a step that fails fails the start.
 */
abstract class Lifecycle extends EventEmitter {
  readonly options: FrameworkOptions;
  readonly #starting: Start[] = [];
  readonly #closing: Step[] = [];
  readonly #ready: Promise<void>;
  #started = false;
  #closed: Promise<void> | undefined;

  constructor(options: FrameworkOptions) {
    super();
    this.options = options;
    // A turn later, so that constructors of subclasses can still add steps.
    this.#ready = new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#start());
    this.#ready.catch(() => {});
  }

  /**
   * Adds a step that has to be done before this is ready; a start that hangs in it tells its name. `timeout` in ms; a `weak` one
   * may fail. @throws Error once the steps have run
   */
  beforeStart(step: Step): void;
  beforeStart(name: string, step: Step, options?: StepOptions): void;
  beforeStart(first: string | Step, step?: Step, options: StepOptions = {}): void {
    if (this.#started) throw new Error('beforeStart() was called after the start');
    const added = typeof first === 'string' ? { ...options, name: first, step } : { step: first };
    if (typeof added.step !== 'function') throw new TypeError('beforeStart() expects a name, where it has one, and a function');
    this.#starting.push(added as Start);
  }

  /** Adds a step of the close; the last one added runs first. */
  beforeClose(step: Step): void {
    this.#closing.push(step);
  }

  /** Calls back when started, with the error where that failed; without a callback it gives a promise. */
  ready(): Promise<void>;
  ready(callback: (error?: Error) => void): void;
  ready(callback?: (error?: Error) => void): Promise<void> | void {
    if (!callback) return this.#ready;
    // Out of the promise, so that what a callback throws is an uncaught exception and no silent rejection.
    const later = (error?: Error): void => void process.nextTick(callback, error);
    this.#ready.then(() => later(), later);
  }

  /** Runs the closing steps, once; all of them, and rejects with the first error. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #start(): Promise<void> {
    for (const start of this.#starting) await run(start);
    this.#started = true;
  }

  async #close(): Promise<void> {
    const errors: unknown[] = [];
    for (const step of this.#closing.reverse()) {
      try {
        await step();
      } catch (error) {
        errors.push(error);
      }
    }
    this.emit('close');
    if (errors.length > 0) throw errors[0];
  }
}

/** One step, and what its name is good for. What a weak one fails with, or takes too long for, is told in the log. */
async function run({ name, step, timeout, weak = false }: Start): Promise<void> {
  if (name === undefined) return void await step();
  let gaveUp!: (error: unknown) => void;
  const given = new Promise<void>((resolve, reject) => { gaveUp = weak ? () => resolve() : reject; });
  const done = stepOf(name, { timeout, weak }, gaveUp);
  try {
    await Promise.race([step(), given]);
    done();
  } catch (error) {
    done(error);
    if (!weak) throw error;
  }
}

/** The worker's side of a framework. Emits `server` with the http server before it listens. */
export abstract class Application extends Lifecycle {
  /** What answers requests. */
  abstract callback(): RequestListener;
}

/** The agent's side of a framework. */
export class Agent extends Lifecycle {}

import { EventEmitter } from 'node:events';
import type { RequestListener } from 'node:http';

/** What a framework's classes are made with; a framework may add options of its own. */
export interface FrameworkOptions {
  /** The app's directory, absolute. */
  baseDir: string;
  /** A free port on the loopback interface, the same for agent and workers, for the framework's own use. */
  clusterPort?: number;
  [option: string]: unknown;
}

type Step = () => unknown;

/**
 * One start and one close: steps run in order, each awaited, after the constructor is done. `ready` takes callbacks and
 * gives a promise; a step that fails fails the start.
 */
abstract class Lifecycle extends EventEmitter {
  readonly options: FrameworkOptions;
  readonly #starting: Step[] = [];
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

  /** Adds a step that has to be done before this is ready. @throws Error once the steps have run */
  beforeStart(step: Step): void {
    if (this.#started) throw new Error('beforeStart() was called after the start');
    this.#starting.push(step);
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
    for (const step of this.#starting) await step();
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

/** The worker's side of a framework. Emits `server` with the http server before it listens. */
export abstract class Application extends Lifecycle {
  /** What answers requests. */
  abstract callback(): RequestListener;
}

/** The agent's side of a framework. */
export class Agent extends Lifecycle {}

import type { Deadlines, ServiceState } from '../api/plugin.js';
import { ClusterError } from '../kit/errors.js';
import type { Faults } from '../kit/faults.js';
import { show } from '../kit/misuse.js';

export type ServiceEvent = 'start' | 'agentReady' | 'workersReady' | 'reload' | 'reloadDone' | 'close' | 'closed';

/** The life of the whole service, as data. `degraded` is no state of its own: it stands beside running (see status-report). */
export const serviceTable: Readonly<Record<ServiceState, Partial<Record<ServiceEvent, ServiceState>>>> = {
  idle: { start: 'startingAgent', close: 'closing' },
  startingAgent: { agentReady: 'startingWorkers', close: 'closing' },
  startingWorkers: { workersReady: 'running', close: 'closing' },
  running: { reload: 'reloading', close: 'closing' },
  reloading: { reloadDone: 'running', close: 'closing' },
  closing: { closed: 'closed' },
  closed: {},
};

/** Where the service is in its life; and its end, which several may ask for and only one carries out (operations/shutdown). */
export class Life {
  readonly startedAt = new Date();
  state: ServiceState = 'idle';
  /** `clusterReady` was announced: once in a life, and in development perhaps long after the start. */
  announced = false;
  /** Set once a close has begun: its exit code. */
  closed: Promise<number> | null = null;
  /** Resolves when somebody is in a hurry. */
  readonly hurried: Promise<void>;
  /** Resolves with the exit code once everything is gone. */
  readonly exited: Promise<number>;
  /** Rejects with a mistake of a plugin's that shows when the first processes are there: the start fails with it. */
  readonly mistaken: Promise<never>;
  /** The service gives up by its own decision; set by who can close it. */
  giveUp: (reason: string) => void = () => {};
  /** Another process, or none, is in charge of a slot; set by who tells it. */
  staffChanged: () => void = () => {};
  hurry!: () => void;
  end!: (code: number) => void;
  #mistake!: (error: Error) => void;

  constructor() {
    this.hurried = new Promise((resolve) => { this.hurry = resolve; });
    this.exited = new Promise((resolve) => { this.end = resolve; });
    this.mistaken = new Promise((_, reject) => { this.#mistake = reject; });
    this.mistaken.catch(() => {});
  }

  /** All were ready once: from here on the dead are replaced. */
  get started(): boolean {
    return this.state === 'running' || this.state === 'reloading';
  }

  get closing(): boolean {
    return this.state === 'closing' || this.state === 'closed';
  }

  /** A fault that the hooks keep from the master; later in its life it is a line in the log. */
  fault(error: ClusterError): void {
    if (error.code === 'ERR_CLUSTER_PLUGIN') this.#mistake(error);
  }

  enter(event: ServiceEvent): void {
    this.state = serviceTable[this.state][event] ?? this.state;
  }
}

export interface Counts {
  agent: number;
  workers: number;
}

/** Checks in a row that must find nobody. */
const STRIKES = 3;

/**
 * The last resort: the agent or all workers are gone and nobody is starting or waiting to start, at three checks in a row;
 * then the master gives up. Returns what ends the checks.
 */
export function threeStrikes(
  interval: number, faults: Faults, look: () => Counts & { expectsAgent: boolean; pending: boolean }, out: (counts: Counts) => void,
): () => void {
  let strikes = 0;
  const timer = setInterval(faults.guard('three strikes', () => {
    const { agent, workers, expectsAgent, pending } = look();
    const bad = !pending && (workers === 0 || (expectsAgent && agent === 0));
    strikes = bad ? strikes + 1 : 0;
    if (strikes >= STRIKES) out({ agent, workers });
  }), interval);
  timer.unref();
  return () => clearInterval(timer);
}

/** setTimeout's limit, less what is added to a deadline before the SIGKILL; ms. */
const LONGEST = 2 ** 31 - 1_000;

/** How long children may take to close, to begin with; what is no time is refused, as a timer makes 1 ms of it and cuts everything. */
export function createDeadlines(): Deadlines {
  return new Proxy<Deadlines>({ drain: 5_000, streams: 5_000, agent: 5_000, shutdownDelay: 0, uncaught: 5_000 }, {
    set(deadlines, name, value) {
      const known = Object.hasOwn(deadlines, name);
      if (known && typeof value === 'number' && value >= 0 && value <= LONGEST) return Reflect.set(deadlines, name, value);
      const expected = known ? `milliseconds from 0 to ${LONGEST}` : `one of ${Object.keys(deadlines).join(', ')}`;
      throw new ClusterError('ERR_CLUSTER_PLUGIN', `deadlines.${String(name)}: expected ${expected}, found ${show(value)}`);
    },
  });
}

import type { Envelope } from '../ipc/messages.js';

/**
 * Types of public messages, by declaration merging: `declare module 'hatchery' { interface Messages { 'user-changed': { id: string } } }`.
 * An action that is not declared carries `unknown`.
 */
export interface Messages {
  /** From the master to all, once all are ready, and to each process that becomes ready later: `{ address, workers }`, pids. */
  'cluster-ready': unknown;
  /** From the master to the workers: the agent is ready. */
  'agent-start': undefined;
  /** From the master to the workers, when the agent comes or goes, and to each new one; empty: there is none. */
  'agent-pids': number[];
  /** From the master to the agent, when a worker comes or goes: those that are ready. */
  'app-pids': number[];
  /** From the master to its parent: the agent, which was ready, has ended while the cluster runs. */
  'agent-worker-died': undefined;
  /** From the master to its parent: a worker has ended that nobody had asked to. */
  'app-worker-died': undefined;
  /** To the master, from anybody: reload, in its turn. */
  'reload-worker': undefined;
}

/** What a message of this action carries. */
export type MessageData<Action extends string> = Action extends keyof Messages ? Messages[Action] : unknown;

/** Whom a message is for: a group, a process id, or the worker of a slot. */
export type Target = 'app' | 'agent' | 'master' | 'parent' | number | { slot: number };

/** Takes a message; what it returns, or its promise resolves with, answers a request. */
export type Listener<Action extends string> = (data: MessageData<Action>, envelope: Envelope) => unknown;

/**
 * Messages between application code in the workers, the agent, the master and the parent process. `on` takes messages and
 * requests alike: what the first listener of a request returns, or throws, is the answer.
 */
export interface Messenger {
  /** To all workers and, if there is one, the agent. Like all that sends, it returns at once, and what nobody takes is lost. */
  broadcast<A extends string>(action: A, data?: MessageData<A>): void;
  /** To one process, by its pid or slot, or to a group. @throws ClusterError ERR_CLUSTER_NO_RECEIVER for what is none of these */
  sendTo<A extends string>(target: Target, action: A, data?: MessageData<A>): void;
  /** To one worker, chosen by chance. */
  sendRandom<A extends string>(action: A, data?: MessageData<A>): void;
  /** To all workers. */
  sendToApp<A extends string>(action: A, data?: MessageData<A>): void;
  /** @throws ClusterError ERR_CLUSTER_NO_AGENT where none is configured */
  sendToAgent<A extends string>(action: A, data?: MessageData<A>): void;
  /**
   * Asks one process (`"app"`: any worker) and waits for its listener's answer. Rejects with that listener's error, or with
   * ERR_CLUSTER_NO_HANDLER, _NO_RECEIVER, _NO_AGENT, _REQUEST_TIMEOUT. `timeout` in ms, 5,000 by default.
   */
  request<A extends string, Answer = unknown>(
    target: Target, action: A, data?: MessageData<A>, options?: { timeout?: number },
  ): Promise<Answer>;
  /** Called for each message of this action that reaches this process, in the order of registration. */
  on<A extends string>(action: A, listener: Listener<A>): this;
  /** The same for the next one alone. */
  once<A extends string>(action: A, listener: Listener<A>): this;
  off<A extends string>(action: A, listener: Listener<A>): this;
}

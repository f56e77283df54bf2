import type { Envelope } from '../ipc/messages.js';

/**
 * Types of public messages, by declaration merging: `declare module 'hatchery' { interface Messages { 'user-changed': { id: string } } }`.
 * An action that is not declared carries `unknown`.
 */
export interface Messages {
  'cluster-ready': unknown;
  'agent-start': undefined;
  'agent-pids': number[];
  'app-pids': number[];
  'agent-worker-died': undefined;
  'app-worker-died': undefined;
  'reload-worker': undefined;
}

export type MessageData<Action extends string> = Action extends keyof Messages ? Messages[Action] : unknown;

/** Whom a message is for: a group, a process id, or the worker of a slot. */
export type Target = 'app' | 'agent' | 'master' | 'parent' | number | { slot: number };

export type Listener<Action extends string> = (data: MessageData<Action>, envelope: Envelope) => unknown;

/**
 * Messages between application code in the workers, the agent, the master and the parent process. `on` takes messages and
 * requests alike: what the first listener of a request returns, or throws, is the answer.
 */
export interface Messenger {
  /** To all workers and, if there is one, the agent. */
  broadcast<A extends string>(action: A, data?: MessageData<A>): void;
  /** To one process, by its pid or slot, or to a group. @throws ClusterError ERR_CLUSTER_NO_RECEIVER for what is none of these */
  sendTo<A extends string>(target: Target, action: A, data?: MessageData<A>): void;
  /** To one worker, chosen by chance. */
  sendRandom<A extends string>(action: A, data?: MessageData<A>): void;
  sendToApp<A extends string>(action: A, data?: MessageData<A>): void;
  /** @throws ClusterError ERR_CLUSTER_NO_AGENT where none is configured */
  sendToAgent<A extends string>(action: A, data?: MessageData<A>): void;
  /**
   * Asks one process (`"app"`: any worker) and waits for its listener's answer. Rejects with that listener's error, or with
   * ERR_CLUSTER_NO_HANDLER, _NO_RECEIVER, _REQUEST_TIMEOUT. `timeout` in ms, 5,000 by default.
   */
  request<A extends string, Answer = unknown>(target: Target, action: A, data?: MessageData<A>, options?: { timeout?: number }): Promise<Answer>;
  on<A extends string>(action: A, listener: Listener<A>): this;
  once<A extends string>(action: A, listener: Listener<A>): this;
  off<A extends string>(action: A, listener: Listener<A>): this;
}

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

/** Types of answers to requests, in the same way: `declare module 'hatchery' { interface Answers { 'find-user': User } }`. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- filled by declaration merging
export interface Answers {}

/** What a message of this action carries. */
export type MessageData<Action extends string> = Action extends keyof Messages ? Messages[Action] : unknown;

/** What a request of this action is answered with. */
export type AnswerOf<Action extends string> = Action extends keyof Answers ? Answers[Action] : unknown;

export interface MessageOptions {
  /** Goes along with the data, in `envelope.meta`: a trace id, for instance. */
  meta?: Record<string, unknown>;
}

export interface RequestOptions extends MessageOptions {
  /** Milliseconds to wait for the answer; 5,000 by default. */
  timeout?: number;
  /** Ends the waiting: the request rejects with its reason. Whoever was asked is not told. */
  signal?: AbortSignal;
}

/** Whom a message is for: a group, a process id, or the worker of a slot. */
export type Target = 'app' | 'agent' | 'master' | 'parent' | number | { slot: number };

/** Takes a message; what it returns, or its promise resolves with, answers a request. */
export type Listener<Action extends string> = (data: MessageData<Action>, envelope: Envelope) => unknown;

/**
 * Messages between application code in the workers, the agent, the master and the parent process. `on` takes messages and
 * requests alike: what the first listener of a request returns, or throws, is the answer.
 *
 * What one process sends to another arrives in the order in which it was sent, and what comes while a process starts is kept
 * until somebody listens to it, or it is ready. All that sends returns at once, and what nobody takes is lost. It returns false
 * when a receiver is slow and more than `messages.outbox` bytes wait for it: `await messenger.drained()` before more is sent;
 * what becomes of more all the same is said by `messages.onFull`.
 */
export interface Messenger {
  /** To all workers, this one too, and the agent if there is one. */
  broadcast<A extends string>(action: A, data?: MessageData<A>, options?: MessageOptions): boolean;
  /**
   * To one process, by its pid or slot, or to a group. All that sends throws ERR_CLUSTER_NOT_READING with
   * `messages.onFull: "error"`, and ERR_CLUSTER_MESSAGE_TOO_LONG.
   * @throws ClusterError ERR_CLUSTER_NO_RECEIVER for what is no target
   */
  sendTo<A extends string>(target: Target, action: A, data?: MessageData<A>, options?: MessageOptions): boolean;
  /** To one worker, chosen by chance. */
  sendRandom<A extends string>(action: A, data?: MessageData<A>, options?: MessageOptions): boolean;
  /** To all workers. */
  sendToApp<A extends string>(action: A, data?: MessageData<A>, options?: MessageOptions): boolean;
  /** @throws ClusterError ERR_CLUSTER_NO_AGENT where none is configured */
  sendToAgent<A extends string>(action: A, data?: MessageData<A>, options?: MessageOptions): boolean;
  /** Resolves when nobody is behind with reading. */
  drained(): Promise<void>;
  /**
   * Asks one process (`"app"`: any worker) and waits for its listener's answer. Rejects with that listener's error (class name,
   * cause and own fields with it), the signal's reason, or ERR_CLUSTER_NO_HANDLER, _NO_RECEIVER, _NO_AGENT, _REQUEST_TIMEOUT,
   * _CHANNEL_CLOSED (who was asked is gone), _NOT_READING.
   */
  request<A extends string, Answer = AnswerOf<A>>(
    target: Target, action: A, data?: MessageData<A>, options?: RequestOptions,
  ): Promise<Answer>;
  /** Called for each message of this action that reaches this process, in the order of registration. */
  on<A extends string>(action: A, listener: Listener<A>): this;
  /** The same for the next one alone. */
  once<A extends string>(action: A, listener: Listener<A>): this;
  off<A extends string>(action: A, listener: Listener<A>): this;
}

import type { EventEmitter } from 'node:events';
import type { Envelope } from '../ipc/messages.js';
import { ClusterError } from '../kit/errors.js';
import { atCaller, isObject, misuse, show } from '../kit/misuse.js';
import { requireBuilt } from '../kit/package.js';

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

/** What is sent of an action, and how: the data may be left out where its type has them so. */
export type Sent<Action extends string, Options = MessageOptions> = undefined extends MessageData<Action>
  ? [data?: MessageData<Action>, options?: Options] : [data: MessageData<Action>, options?: Options];

export interface MessageOptions {
  /** Goes along with the data, in `envelope.meta`: a trace id, for instance. */
  meta?: Record<string, unknown>;
}

export interface BroadcastOptions extends MessageOptions {
  /**
   * `all`: to those of all hosts, by the plugin `hosts`; there `envelope.meta.host` names the one that it comes from, and its id is the
   * same everywhere. Other hosts get it once, later than this one, or not at all where they are away for long.
   */
  scope?: 'all';
}

export interface RequestOptions extends MessageOptions {
  /** Milliseconds to wait for the answer; 5,000 by default. */
  timeout?: number;
  /** Ends the waiting: the request rejects with its reason. Whoever was asked is not told. */
  signal?: AbortSignal;
}

/** A request as one object, in place of a promise, for those who make very many: see `runtime.ask`. */
export interface Asking {
  readonly action: string;
  readonly data?: unknown;
  /** Milliseconds to wait for the answer. */
  readonly timeout: number;
  /** One of the two is called, once, and not before `ask` has returned. */
  resolve(answer: unknown): void;
  reject(error: unknown): void;
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
  /**
   * To all workers, this one too, and the agent if there is one. @throws ClusterError ERR_CLUSTER_USAGE for a scope where no plugin
   * carries it
   */
  broadcast<A extends string>(action: A, ...sent: Sent<A, BroadcastOptions>): boolean;
  /**
   * To one process, by its pid or slot, or to a group. All that sends throws ERR_CLUSTER_NOT_READING with
   * `messages.onFull: "error"`, and ERR_CLUSTER_MESSAGE_TOO_LONG.
   * @throws ClusterError ERR_CLUSTER_NO_RECEIVER for what is no target
   */
  sendTo<A extends string>(target: Target, action: A, ...sent: Sent<A>): boolean;
  /** To one worker, chosen by chance. */
  sendRandom<A extends string>(action: A, ...sent: Sent<A>): boolean;
  /** To all workers. */
  sendToApp<A extends string>(action: A, ...sent: Sent<A>): boolean;
  /** @throws ClusterError ERR_CLUSTER_NO_AGENT where none is configured */
  sendToAgent<A extends string>(action: A, ...sent: Sent<A>): boolean;
  /** Resolves when nobody is behind with reading, or when this process is not. */
  drained(pid?: number): Promise<void>;
  /**
   * Asks one process (`"app"`: any worker) and waits for its listener's answer. Rejects with that listener's error (class name,
   * cause and own fields with it), the signal's reason, or ERR_CLUSTER_NO_HANDLER, _NO_RECEIVER, _NO_AGENT, _REQUEST_TIMEOUT,
   * _CHANNEL_CLOSED (who was asked is gone), _NOT_READING.
   */
  request<A extends string, Answer = AnswerOf<A>>(target: Target, action: A, ...sent: Sent<A, RequestOptions>): Promise<Answer>;
  /** Called for each message of this action that reaches this process, in the order of registration. */
  on<A extends string>(action: A, listener: Listener<A>): this;
  /** The same for the next one alone. */
  once<A extends string>(action: A, listener: Listener<A>): this;
  off<A extends string>(action: A, listener: Listener<A>): this;
}

/**
 * Takes a broadcast with `scope: "all"` on to other hosts; those here get it by themselves. False: who sends should wait. Throws
 * what cannot be sent.
 */
export type CarryBroadcasts = (envelope: Envelope) => boolean;

type Method = (...args: never[]) => unknown;
type Class<Client> = new (...args: never[]) => Client;
/** What every client has of its own, and is never called in another process. */
type Own = keyof EventEmitter | 'then' | 'ready' | 'close' | 'subscribe' | 'unsubscribe' | 'unSubscribe' | 'publish' | `_${string}`;

/** Names of a client's methods that others may call. */
export type SharedCall<Client> = {
  [K in keyof Client & string]: Client[K] extends Method ? K extends Own ? never : K : never
}[keyof Client & string];

/** How one call of a shared client is made. */
export interface SharedCallOptions {
  /** Milliseconds that its answer is waited for. */
  timeout?: number;
  /** It may be done twice: where its leader is lost meanwhile, it is made again in place of ERR_CLUSTER_LEADER_LOST. */
  idempotent?: boolean;
  /** Nobody waits for an answer. */
  oneway?: boolean;
}

/** `state`: who subscribes later gets the last value; `stream`: each value to those who are there, in order, one after the other. */
export type SharedTopicKind = 'state' | 'stream';

/** What is shared under a name, and all that others may do with it; made by {@link defineShared}. */
export interface SharedDefinition<Client extends object = object, Topics extends object = object> {
  /** The same in all processes that share it. */
  name: string;
  /** Makes the real client, with the options of `shareClient`; without it those are asked for a `client`. */
  client?: Class<Client>;
  calls: readonly SharedCall<Client>[] | { readonly [K in SharedCall<Client>]?: true | SharedCallOptions };
  topics?: { readonly [K in keyof Topics]: SharedTopicKind };
}

/** Given to the real client's constructor as they are; these of them are looked at. */
export interface SharedOptions {
  /** In place of the class's name. */
  name?: string;
  /** Milliseconds that an answer is waited for: 5,000 by default. */
  timeout?: number;
  /** The class of a definition that has none. */
  client?: Class<object>;
  [option: string]: unknown;
}

/** Of topics that nobody has declared a key may be an object. */
type AnyKey<Topics> = string extends keyof Topics ? object : never;

/** What a process holds of a shared client: the real one's methods, each of which gives a promise, its topics and its events. */
export type SharedClient<Client, Topics = Record<string, unknown>> = EventEmitter & {
  [K in SharedCall<Client>]: Client[K] extends (...args: infer Args) => infer Result ? (...args: Args) => Promise<Awaited<Result>> : never;
} & {
  /** Calls `listener` with each value of the key, with the last one first where it is known. */
  subscribe<K extends keyof Topics>(key: K | AnyKey<Topics>, listener: (value: Topics[K]) => unknown): void;
  /** Without a listener all of this key. */
  unsubscribe<K extends keyof Topics>(key: K | AnyKey<Topics>, listener?: (value: Topics[K]) => unknown): void;
  /** Need not be awaited. The last value of a key is published again where the leader is another one. */
  publish<K extends keyof Topics>(key: K | AnyKey<Topics>, value?: Topics[K]): Promise<unknown>;
  /** Resolves when the real client is ready; `shareClient` has waited for it. */
  ready(): Promise<void>;
  /** Of all clients of one name, in all processes, the last one that closes closes the real client. Idempotent. */
  close(): Promise<void>;
};

/**
 * Shares one real client among all processes that call this with the same class or name. The agent makes it where it calls this,
 * else the worker of the lowest slot that is ready; the others call it there. Rejects with what the real client fails with.
 * Calls reject with its errors, or with ERR_CLUSTER_LEADER_LOST, _REQUEST_TIMEOUT, _NOT_SHARED, _CLIENT_CLOSED, _NOT_CLONEABLE.
 * @throws ClusterError ERR_CLUSTER_USAGE
 */
export interface ShareClient {
  <Client extends object, Topics extends object>(
    definition: SharedDefinition<Client, Topics>, options?: SharedOptions): Promise<SharedClient<Client, Topics>>;
  /** A class in the shape of cluster-client's APIClientBase gives an object of its own. */
  <Client extends object>(client: Class<Client>, options?: SharedOptions & object): Promise<
    Client extends { readonly DataClient: unknown } ? Client : SharedClient<Client>>;
  /** By its name alone: never leads. */
  <Client extends object>(name: string, options?: SharedOptions): Promise<SharedClient<Client>>;
}

/**
 * Names what is shared and all that others may do with it, once for all processes; types it; returns it unchanged.
 * @throws ClusterError ERR_CLUSTER_USAGE
 */
export function defineShared<
  Client extends object, Topics extends object = Record<never, never>, Call extends SharedCall<Client> = SharedCall<Client>,
>(definition: {
  name: string;
  client?: Class<Client>;
  calls: readonly Call[] | { readonly [K in Call]: true | SharedCallOptions };
  topics?: { readonly [K in keyof Topics]: SharedTopicKind };
}): SharedDefinition<Pick<Client, Call>, Topics> {
  if (!isObject(definition)) throw misuse(defineShared, 'an object with `name` and `calls`', definition);
  const fault = sharedFault(definition as unknown as Record<string, unknown>);
  if (fault !== undefined) throw atCaller(new ClusterError('ERR_CLUSTER_USAGE', `defineShared: ${fault}`), defineShared);
  return definition as unknown as SharedDefinition<Pick<Client, Call>, Topics>;
}

const CALL: Readonly<Record<string, string>> = { timeout: 'number', idempotent: 'boolean', oneway: 'boolean' };
const KINDS: ReadonlySet<unknown> = new Set<SharedTopicKind>(['state', 'stream']);

/** What is wrong with a definition; undefined: nothing. */
function sharedFault({ name, client, calls, topics = {}, ...others }: Record<string, unknown>): string | undefined {
  if (typeof name !== 'string' || name === '') return `\`name\` has to be a text, found ${show(name)}`;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) return `"${name}" has the unknown key "${unknown}"; allowed are name, client, calls, topics`;
  if (client !== undefined && typeof client !== 'function') return `\`client\` of "${name}" has to be a class, found ${show(client)}`;
  if (!Array.isArray(calls) && !isObject(calls)) {
    return `\`calls\` of "${name}" has to be a list of names, or an object by name, found ${show(calls)}`;
  }
  const odd = Array.isArray(calls) ? calls.find((call) => typeof call !== 'string')
    : Object.entries(calls).find(([, call]) => !isCall(call))?.[1] as unknown;
  const time = isObject(odd) && typeof odd.timeout === 'number' && !isTime(odd.timeout) ? odd.timeout : undefined;
  if (time !== undefined) return `the timeout of a call of "${name}" is a number of milliseconds below 2^31, found ${time}`;
  if (odd !== undefined) return `a call of "${name}" is \`true\` or { timeout, idempotent, oneway }, found ${show(odd)}`;
  if (!isObject(topics)) return `\`topics\` of "${name}" has to be an object by name, found ${show(topics)}`;
  const [topic, kind] = Object.entries(topics).find(([, one]) => !KINDS.has(one)) ?? [];
  return topic === undefined ? undefined : `the topic "${topic}" of "${name}" is "state" or "stream", found ${show(kind)}`;
}

const isCall = (call: unknown): boolean => call === true
  || (isObject(call) && Object.entries(call).every(([key, value]) => typeof value === CALL[key] && (key !== 'timeout' || isTime(value))));
/** setTimeout takes no more. */
const isTime = (value: unknown): boolean => (value as number) > 0 && (value as number) < 2 ** 31;

/** Where a child of a cluster has its `context.shareClient`, for all that is loaded in it (plugins/shared-clients/worker.ts). */
const SHARE = Symbol.for('hatchery.shareClient');

interface Alone { single(): { share(what: unknown, options?: SharedOptions): Promise<object> } }

/**
 * As `context.shareClient`, from any module of an app. In a process that is no child of a cluster, a test's for instance, all is
 * in that process: it leads what it shares.
 */
export const shareClient: ShareClient = async (what: unknown, options?: SharedOptions) => {
  if (!Reflect.has(process, SHARE)) {
    const alone = (requireBuilt('plugins/shared-clients/clients.cjs') as Alone).single();
    Reflect.set(process, SHARE, alone.share.bind(alone));
  }
  return (Reflect.get(process, SHARE) as ShareClient)(what as never, options) as never;
};

/**
 * What arrives of a value in another process, for this one: nobody changes what others have. An error itself is handed on as it is,
 * as those who catch one look at its class. @throws ClusterError ERR_CLUSTER_NOT_CLONEABLE, _MESSAGE_TOO_LONG
 */
export function copyOf<Value>(value: Value): Value {
  if ((typeof value !== 'object' || value === null) && typeof value !== 'function' && typeof value !== 'symbol') return value;
  if (value instanceof Error) return value;
  return packer().copied(value) as Value;
}

/** Loaded by the first who needs it. */
interface Packer { copied(value: unknown): unknown; packed(message: readonly unknown[]): Buffer; unpack(bytes: Buffer): unknown }
let loaded: Packer | undefined;
const packer = (): Packer => loaded ??= requireBuilt('lib/messenger/bus.cjs') as Packer;

/** A list as bytes, as one process would send it to another. @throws ClusterError ERR_CLUSTER_NOT_CLONEABLE, _MESSAGE_TOO_LONG */
export const packed = (message: readonly unknown[]): Buffer => packer().packed(message);

/** What {@link packed} has packed. @throws Error where it is nothing */
export const unpacked = (bytes: Buffer): unknown => packer().unpack(bytes);

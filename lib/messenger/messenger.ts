import { inspect } from 'node:util';
import type { Listener, MessageData, Messenger, ShareClient, SharedOptions, Target } from '../api/messenger.js';
import type { Envelope } from '../ipc/messages.js';
import { ClusterError, fromWire, wire } from '../kit/errors.js';
import { owned } from '../kit/faults.js';
import { show } from '../kit/misuse.js';
import { requireBuilt } from '../kit/package.js';

/** Milliseconds a request waits for its answer, unless told. */
export const REQUEST_TIMEOUT = 5_000;

/** setTimeout's limit, ms: it makes 1 ms of more, and of what is no number. */
const LONGEST = 2 ** 31 - 1;

const refused = (call: string, expected: string, found: unknown) =>
  new ClusterError('ERR_CLUSTER_USAGE', `messenger.${call}: expected ${expected}, found ${show(found)}`);

/** The messenger of this process; where its envelopes go is for the router to say. */
export class ProcessMessenger implements Messenger {
  readonly #post: (envelope: Envelope) => void;
  readonly #hasAgent: () => boolean;
  /** As they were given, and as they are called. */
  readonly #listeners = new Map<string, Map<Listener<string>, Listener<string>>>();
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void; timer: NodeJS.Timeout }>();
  #next = 1;

  /** `post` hands an envelope to the router (or to the pipe that leads there); `hasAgent`: an agent is configured. */
  constructor(post: (envelope: Envelope) => void, hasAgent: () => boolean = () => true) {
    this.#post = (envelope) => {
      if (envelope.to === 'agent' && !hasAgent()) {
        throw new ClusterError('ERR_CLUSTER_NO_AGENT', `"${envelope.action}" is for the agent, and there is none: `
          + 'set `agent: true` in the configuration, or add an agent module');
      }
      post(envelope);
    };
    this.#hasAgent = hasAgent;
  }

  broadcast<A extends string>(action: A, data?: MessageData<A>): void {
    this.#post({ action, data, to: 'app' });
    if (this.#hasAgent()) this.#post({ action, data, to: 'agent' });
  }

  sendTo<A extends string>(target: Target, action: A, data?: MessageData<A>): void {
    this.#post({ action, data, ...address(target) });
  }

  sendRandom<A extends string>(action: A, data?: MessageData<A>): void {
    this.#post({ action, data, to: 'app', receiverPid: 'random' });
  }

  sendToApp<A extends string>(action: A, data?: MessageData<A>): void {
    this.#post({ action, data, to: 'app' });
  }

  sendToAgent<A extends string>(action: A, data?: MessageData<A>): void {
    this.#post({ action, data, to: 'agent' });
  }

  request<A extends string, Answer = unknown>(
    target: Target, action: A, data?: MessageData<A>, { timeout = REQUEST_TIMEOUT }: { timeout?: number } = {},
  ): Promise<Answer> {
    return new Promise<unknown>((resolve, reject) => {
      if (!(timeout >= 0 && timeout <= LONGEST)) throw refused('request', `milliseconds from 0 to ${LONGEST} as its timeout`, timeout);
      const to = address(target);
      const request = this.#next++;
      const timer = setTimeout(() => {
        this.#waiting.delete(request);
        reject(new ClusterError('ERR_CLUSTER_REQUEST_TIMEOUT', `request "${action}" was not answered within ${timeout} ms`));
      }, timeout);
      this.#waiting.set(request, { resolve, reject, timer });
      try {
        this.#post({ action, data, request, ...to, ...(to.to === 'app' && to.receiverPid === undefined ? { receiverPid: 'random' } : {}) });
      } catch (error) {
        clearTimeout(timer);
        this.#waiting.delete(request);
        reject(error as Error);
      }
    }) as Promise<Answer>;
  }

  on<A extends string>(action: A, listener: Listener<A>): this {
    if (typeof listener !== 'function') throw refused(`on("${action}")`, 'a function', listener);
    const all = this.#listeners.get(action) ?? new Map<Listener<string>, Listener<string>>();
    all.set(listener as Listener<string>, owned(listener as Listener<string>));
    this.#listeners.set(action, all);
    return this;
  }

  once<A extends string>(action: A, listener: Listener<A>): this {
    if (typeof listener !== 'function') throw refused(`once("${action}")`, 'a function', listener);
    const wrapper: Listener<A> = (data, envelope) => {
      this.off(action, wrapper);
      return listener(data, envelope);
    };
    return this.on(action, wrapper);
  }

  off<A extends string>(action: A, listener: Listener<A>): this {
    this.#listeners.get(action)?.delete(listener as Listener<string>);
    return this;
  }

  /** Takes an envelope that is for this process. What a listener throws on a plain message goes to `fault`, or is thrown here. */
  receive(envelope: Envelope, fault?: (error: unknown) => void): void {
    if (envelope.reply !== undefined) {
      const waiting = this.#waiting.get(envelope.reply);
      if (!waiting) return;
      this.#waiting.delete(envelope.reply);
      clearTimeout(waiting.timer);
      if (envelope.error) waiting.reject(fromWire(envelope.error));
      else waiting.resolve(envelope.data);
      return;
    }
    const listeners = [...this.#listeners.get(envelope.action)?.values() ?? []];
    if (envelope.request !== undefined) void this.#answer(envelope, listeners[0]);
    else for (const listener of listeners) tell(listener, envelope, fault);
  }

  async #answer(envelope: Envelope, listener: Listener<string> | undefined): Promise<void> {
    const back: Envelope = { action: envelope.action, reply: envelope.request, ...replyTo(envelope) };
    try {
      if (!listener) throw new ClusterError('ERR_CLUSTER_NO_HANDLER', `nobody listens to "${envelope.action}" in process ${process.pid}`);
      this.#post({ ...back, data: await listener(envelope.data, envelope) });
    } catch (error) {
      this.#post({ ...back, error: wire(error) });
    }
  }
}

function tell(listener: Listener<string>, envelope: Envelope, fault?: (error: unknown) => void): void {
  if (!fault) return void listener(envelope.data, envelope);
  try {
    const result: unknown = listener(envelope.data, envelope);
    if (result instanceof Promise) result.catch(fault);
  } catch (error) {
    fault(error);
  }
}

/** Where an answer goes: back to the process that asked. */
export function replyTo(envelope: Envelope): Pick<Envelope, 'to' | 'receiverPid'> {
  return envelope.from === 'master' || envelope.from === 'parent' ? { to: envelope.from } : { receiverPid: envelope.senderPid };
}

const GROUPS: ReadonlySet<unknown> = new Set<Target>(['app', 'agent', 'master', 'parent']);

/** Not every caller is checked by TypeScript, and a pid may come as a text, as Egg's messenger takes it. */
function address(target: Target): Pick<Envelope, 'to' | 'receiverPid'> {
  if (GROUPS.has(target)) return { to: target as string };
  if (Number(target) > 0) return { receiverPid: Number(target) };
  const slot = (target as { slot?: unknown } | null)?.slot;
  if (Number.isInteger(slot)) return { to: 'app', receiverPid: `slot:${slot as number}` };
  throw new ClusterError('ERR_CLUSTER_NO_RECEIVER',
    `expected a process id, { slot }, "app", "agent", "master" or "parent", found ${inspect(target)}`);
}

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

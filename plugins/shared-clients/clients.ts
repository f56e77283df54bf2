import { atMost, ClusterError, copyOf, startWaits, wire, wireWhole, type Runtime, type SharedOptions } from '../../lib/runtime.js';
import { ACTION, later } from './calls.js';
import { Client } from './client.js';
import { apiOf, isApiClass } from './cluster-client.js';
import { isAsk, isTell } from './forms.js';
import { closed, Member, type Arbiter, type MemberNeeds } from './member.js';
import type { Answer, Ask, Failure, Leading, Post, Tell } from './messages.js';
import { shapeOf, usage, type Shape } from './shape.js';

/** Milliseconds before its deadline at which a process that closes gives its clients up. */
const SPARE = 500;

/** What a process says to itself arrives as it would elsewhere: later, and copied. */
function homePost(clients: () => Clients): Post {
  const { pid } = process;
  return {
    pid,
    async ask(_, message): Promise<Answer> {
      const sent = copyOf(message);
      await new Promise((resolve) => { later(resolve); });
      return copyOf(await clients().asked(pid, sent));
    },
    call(_, attempt) {
      this.ask(pid, attempt.data, attempt.timeout).then((answer) => attempt.resolve(answer), (error: unknown) => attempt.reject(error));
    },
    tell(_, message) {
      const copied = copyOf(message);
      later(() => clients().told(pid, copied));
      return true;
    },
    async room() {},
  };
}

/** The shared clients of one process, by name. */
export class Clients {
  readonly #needs: MemberNeeds;
  readonly #members = new Map<string, Member>();

  constructor(needs: Omit<MemberNeeds, 'post'> & { post?: Post }) {
    this.#needs = { post: homePost(() => this), ...needs };
  }

  /** Resolves with a client that is ready. @throws ClusterError ERR_CLUSTER_USAGE, and what the real client fails with */
  async share(what: unknown, options: SharedOptions = {}): Promise<object> {
    if (typeof options !== 'object' || options === null) throw usage('options have to be an object');
    if (!isApiClass(what)) {
      const client = this.#open(shapeOf(what, options));
      await client.ready();
      return client;
    }
    const api = apiOf(what, options, (shape) => this.#open(shape)) as { ready?: unknown };
    if (typeof api.ready === 'function') await (api.ready as () => Promise<void>)();
    return api;
  }

  member(name: string): Member | undefined {
    return this.#members.get(name);
  }

  /** @throws ClusterError ERR_CLUSTER_USAGE for what is no message of ours, ERR_CLUSTER_NOT_SHARED */
  asked(sender: number, message: Ask): Answer | Promise<Answer> {
    if (!isAsk(message)) throw new ClusterError('ERR_CLUSTER_USAGE', `"${ACTION}" is for shared clients alone`);
    return this.#members.get(message[1])?.asked(sender, message) ?? null;
  }

  told(sender: number, message: Tell): void {
    if (isTell(message)) this.#members.get(message[1])?.told(sender, message);
  }

  cutOff(): void {
    for (const member of this.#members.values()) member.cutOff();
  }

  /** Each hands over what it leads, and leaves. */
  async close(timeout = Infinity): Promise<void> {
    const closed = Promise.all([...this.#members.values()].map((member) => member.close()));
    await (Number.isFinite(timeout) ? atMost(timeout, closed) : closed);
  }

  #open(shape: Shape): Client {
    const { warn } = this.#needs;
    const known = this.#members.get(shape.name);
    if (known?.over === false) {
      if (known.shape.source !== undefined && shape.source !== undefined && known.shape.source !== shape.source) {
        throw usage(`two classes are shared as "${shape.name}": give one of them another \`name\``);
      }
      if (known.shape.source === undefined && shape.source !== undefined) known.adopt(shape);
      return new Client(known, shape.source === undefined ? known.shape : shape, warn);
    }
    const member = new Member(shape, this.#needs, known?.close());
    this.#members.set(shape.name, member);
    return new Client(member, shape, warn);
  }
}

/** With its fields, where they can be sent to the master. */
export function failureOf(error: unknown): Failure {
  const whole = wireWhole(error);
  try {
    return structuredClone(whole);
  } catch {
    return wire(error);
  }
}

/** One process by itself, for tests: it leads all that it shares. */
export function single(): Clients {
  const arbiter: Arbiter = {
    async join(member): Promise<Leading> {
      await member.lead([process.pid]);
      return { name: member.shape.name, term: 1, pid: process.pid };
    },
    async leave() {},
  };
  return new Clients({ arbiter, warn: (text, error) => process.emitWarning(error === undefined ? text : `${text}: ${String(error)}`) });
}

/** Those of a child of a cluster. `deadline`: when it is killed while it closes, as performance.now() tells it; Infinity until then. */
export function clientsOf(runtime: Runtime, deadline: () => number): Clients {
  const { channel, messenger, logger, signal } = runtime;
  const home = homePost(() => clients);
  const post: Post = {
    pid: process.pid,
    ask: (pid, message, timeout) => pid === process.pid ? home.ask(pid, message, timeout)
      : messenger.request<string, Answer>(pid, ACTION, message, { timeout }),
    call: (pid, attempt) => { if (pid === process.pid) home.call(pid, attempt); else runtime.ask(pid, attempt); },
    tell: (pid, message) => pid === process.pid ? home.tell(pid, message) : messenger.sendTo(pid, ACTION, message),
    room: (pid) => pid === process.pid ? home.room(pid) : messenger.drained(pid),
  };
  const timeLeft = () => Math.max(SPARE, deadline() - performance.now() - SPARE);
  const arbiter: Arbiter = {
    join: ({ shape }) => channel.request('shared.join', { name: shape.name, leads: shape.create !== undefined }, { timeout: 60_000 }),
    leave: async ({ shape }) => { await channel.request('shared.leave', shape.name, { timeout: Math.min(timeLeft(), 60_000) }); },
  };
  const warn = (text: string, error?: unknown) => logger.warn(text, error === undefined ? {} : { error });
  const clients = new Clients({ post, arbiter, warn, waits: startWaits });

  messenger.on(ACTION, (data, { request, senderPid = 0 }) => request === undefined
    ? clients.told(senderPid, data as Tell) : clients.asked(senderPid, data as Ask));
  channel.on('shared.lead', async ({ name, members }) => {
    try {
      const member = clients.member(name);
      if (!member) throw closed(name);
      await member.lead(members);
      return null;
    } catch (error) {
      return failureOf(error);
    }
  });
  channel.on('shared.leading', (leading) => clients.member(leading.name)?.leading(leading));
  channel.on('shared.gone', ({ name, pid }) => clients.member(name)?.gone(pid));
  channel.onClose(() => clients.cutOff());
  const closing = () => { channel.send('shared.closing', null); };
  if (signal.aborted) closing();
  else signal.addEventListener('abort', closing);
  return clients;
}

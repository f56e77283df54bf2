import { after, before } from 'node:test';
import type { ChildState, ChildView } from '../../lib/api/child.js';
import { ClusterError } from '../../lib/kit/errors.js';
import { copied } from '../../lib/messenger/bus-frames.js';
import { ACTION } from '../../plugins/shared-clients/calls.js';
import { Clients, failureOf } from '../../plugins/shared-clients/clients.js';
import { Leadership } from '../../plugins/shared-clients/leadership.js';
import { closed, type Arbiter } from '../../plugins/shared-clients/member.js';
import type { Answer, Leading, Post } from '../../plugins/shared-clients/messages.js';

// Timers of the product keep no process up, and no test either.
let stay: NodeJS.Timeout;
before(() => { stay = setInterval(() => {}, 1_000); });
after(() => clearInterval(stay));

const copy = <T>(value: T): T => copied(value) as T;
export const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });
/** Resolves when the condition holds; for what takes some turns of the event loop, or a short timer. */
export async function until(condition: () => unknown, what: string, deadline = 5_000): Promise<void> {
  for (const began = performance.now(); !condition();) {
    if (performance.now() - began > deadline) throw new Error(`never: ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 2); });
  }
}

/** A process of a cluster, without one. What it is told arrives a turn later, and copied. */
export class FakeProcess {
  readonly clients: Clients;
  readonly view: ChildView & { state: ChildState };
  readonly warnings: string[] = [];
  alive = true;
  /** It takes no messages for the time being. */
  stopped: Promise<void> | null = null;
  /** Rejects as its connections end. */
  readonly ended: Promise<never>;
  #end!: (error: Error) => void;

  constructor(readonly world: FakeProcesses, readonly pid: number, role: 'agent' | 'worker', slot: number, state: ChildState) {
    this.ended = new Promise((_, reject) => { this.#end = reject; });
    this.ended.catch(() => {});
    const channel = {
      send: (type: string, data: unknown) => { void this.#told(type, data); },
      request: (type: string, data: unknown) => this.#lead(type, data as { name: string; members: number[] }),
    };
    this.view = { role, slot, pid, state, generation: 1, channel } as never;
    const post: Post = {
      pid,
      ask: (to, message) => world.ask(pid, to, message),
      call: (to, attempt) => {
        world.ask(pid, to, attempt.data).then((answer) => attempt.resolve(answer), (error: unknown) => attempt.reject(error));
      },
      tell: (to, message) => {
        const sent = copy(message);
        if (world.slow.has(to)) return false;
        void turn().then(() => world.process(to)?.clients.told(pid, sent));
        return true;
      },
      room: async (to) => { while (world.slow.has(to)) await turn(); },
    };
    const arbiter: Arbiter = {
      join: async ({ shape }) => {
        await turn();
        return world.leadership.join(this.view, { name: shape.name, leads: shape.create !== undefined });
      },
      leave: async ({ shape }) => {
        await world.leadership.leave(this.view, shape.name);
        // After what was sent before it.
        await turn();
      },
    };
    this.clients = new Clients({ post, arbiter, warn: (text, error) => this.warnings.push(error ? `${text}: ${String(error)}` : text) });
  }

  ready(): void {
    this.view.state = 'ready';
    this.world.leadership.ready();
  }

  /** It begins to close, as a drain does; the promise is that of its last step. */
  async close(): Promise<void> {
    this.world.leadership.closing(this.view);
    await this.clients.close();
    // A process ends some turns after its last step.
    for (let n = 0; n < 3; n++) await turn();
    this.kill();
  }

  kill(): void {
    this.alive = false;
    this.view.state = 'exited';
    this.world.processes.delete(this);
    // Others see the end of their connection first, and then the master tells them.
    this.#end(new ClusterError('ERR_CLUSTER_CHANNEL_CLOSED', `process ${this.pid} is gone`));
    this.world.leadership.gone(this.view);
  }

  async #told(type: string, data: unknown): Promise<void> {
    await turn();
    if (!this.alive) return;
    const { name, pid } = data as Leading;
    const member = this.clients.member(name);
    if (type === 'shared.leading') member?.leading(data as Leading);
    else if (pid !== null) member?.gone(pid);
  }

  async #lead(_: string, { name, members }: { name: string; members: number[] }): Promise<unknown> {
    await turn();
    try {
      const member = this.clients.member(name);
      if (!member) throw closed(name);
      await member.lead(members);
      return null;
    } catch (error) {
      return failureOf(error);
    }
  }
}

/** Processes that share clients, with the master's word on who leads. */
export class FakeProcesses {
  readonly processes = new Set<FakeProcess>();
  /** Pids of those that read slowly: what they are told is lost. */
  readonly slow = new Set<number>();
  /** The master closes. */
  closing = false;
  readonly leadership = new Leadership(this);
  readonly logger = { warn: () => {}, debug: () => {} };
  #pids = 100;

  children(): ChildView[] {
    return [...this.processes].map(({ view }) => view);
  }

  guard(_: string, task: () => void): () => void {
    return task;
  }

  agent(state: ChildState = 'ready'): FakeProcess {
    return this.#add('agent', -1, state);
  }

  worker(slot: number, state: ChildState = 'ready'): FakeProcess {
    return this.#add('worker', slot, state);
  }

  process(pid: number): FakeProcess | undefined {
    return [...this.processes].find((one) => one.pid === pid);
  }

  async ask(from: number, to: number, message: unknown): Promise<Answer> {
    const sent = copy(message);
    const target = this.process(to);
    await turn();
    if (!target?.alive) throw new ClusterError('ERR_CLUSTER_NO_RECEIVER', `nobody is there to take "${ACTION}": ${to}`);
    await target.stopped;
    const answer = copy(await Promise.race([target.clients.asked(from, sent as never), target.ended]));
    await turn();
    return Promise.race([target.ended, answer]);
  }

  #add(role: 'agent' | 'worker', slot: number, state: ChildState): FakeProcess {
    const one = new FakeProcess(this, this.#pids++, role, slot, state);
    this.processes.add(one);
    return one;
  }
}

/** Who leads, as those who share a client see it. */
export const leaderOf = (name: string, all: Iterable<FakeProcess>): number | undefined =>
  [...all].find((one) => one.clients.member(name)?.leads)?.pid;

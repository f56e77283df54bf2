import type { ChildView } from '../api/child.js';
import type { Hooks } from '../api/hooks.js';
import { LONGEST } from '../ipc/frames.js';
import { Intake, SLICE, valid } from '../ipc/intake.js';
import type { BusPlace, ChildRole, Envelope, Roster } from '../ipc/messages.js';
import { pluginDefaults } from '../config/schema.js';
import { ClusterError } from '../kit/errors.js';
import type { Faults } from '../kit/faults.js';
import { Drops, type Logger } from '../kit/logger.js';
import { show } from '../kit/misuse.js';
import type { ProcessDir } from '../kit/own-places.js';
import { ProcessMessenger } from '../messenger/messenger.js';
import { Introductions, messageSlot, Router, type Recipient } from '../messenger/router.js';
import { isInternal } from '../node/cluster.js';
import { awaitsHandle, guardIpc, unreadOn } from '../node/ipc-reader.js';
import type { Life } from './life.js';
import type { Child } from './processes/child.js';
import { processName } from './processes/exit-report.js';
import type { Forker } from './processes/forker.js';
import type { Slot } from './processes/slot.js';
import type { Workers } from './processes/workers.js';
import type { Releases } from './releases.js';
import { addressOf } from './status-report.js';

/** What the post works with; the same objects as in the core. */
export interface PostNeeds {
  readonly hooks: Hooks;
  readonly faults: Faults;
  readonly logger: Logger;
  readonly life: Life;
  readonly releases: Releases;
  readonly dir: Pick<ProcessDir, 'folder'>;
  readonly forker: Pick<Forker, 'wantsAgent'>;
  readonly agent: Slot;
  readonly workers: Workers;
}

/** A tap of the master's own: before those of plugins, or after them. */
const before = { name: 'hatchery', stage: -100 };
const after = { name: 'hatchery', stage: 100 };

const GROUP: Readonly<Record<ChildRole, 'agent' | 'app'>> = { agent: 'agent', worker: 'app' };

/** Messages in the master: its own messenger, what it announces of the cluster, and the way of all others through it. */
export class Post {
  readonly messenger: ProcessMessenger;
  readonly #needs: PostNeeds;
  readonly #router: Router;
  readonly #drops: Drops;
  readonly #introductions: Introductions;
  /** Pids of workers that the agent was told last; a new one knows none. */
  #told = '';

  constructor(needs: PostNeeds) {
    this.#needs = needs;
    this.#drops = new Drops((text) => needs.logger.warn(text));
    const { hooks, workers, agent, releases, forker } = needs;
    this.messenger = new ProcessMessenger((envelope) => this.#send(envelope), () => forker.wantsAgent(releases.current));
    this.#router = new Router({
      workers: () => workers.children().flatMap((child) => this.#recipient(child)),
      agent: () => agent.current ? this.#recipient(agent.current)[0] ?? null : null,
      master: (envelope) => this.#receive(envelope),
      parent: (envelope) => toParent(envelope, this.#drops),
      allow: (envelope) => hooks.message.call(envelope) !== false,
    });
    this.#introductions = new Introductions(() => this.#staff(), () => needs.dir.folder('bus'), (reason) => {
      needs.logger.warn(`messages between workers and agent go through the master: ${reason}`);
    });
    seeTaps(hooks, needs.logger, () => this.#introductions.changed());
    this.#announce();
  }

  /** A parent process that forked this one may send messages; without a `to` they are for the master. Returns what ends it. */
  listenToParent(): () => void {
    return listenToParent(this.#needs.faults.guard('message of the parent', (message: unknown) =>
      this.#route(message, 'parent', process.ppid)), this.#needs.logger);
  }

  /** Whatever a process says, it ends neither the master nor what else it has to do. */
  #route(message: unknown, from: 'app' | 'agent' | 'parent', pid: number): void {
    try {
      this.#router.route(message, from, pid);
    } catch (error) {
      this.#drops.add(`messages of pid ${pid} (${from}) that cannot be passed on`, (error as Error).message);
    }
  }

  /** What the master tells the others, at the moments of the hooks. */
  #announce(): void {
    const { hooks, life, agent } = this.#needs;
    const collect = (view: ChildView): void => {
      const child = view as Child;
      child.deliver = (message) => this.#route(message, GROUP[child.role], child.pid);
      this.#introduce(child);
    };
    hooks.agentForked.tap(before, collect);
    hooks.agentForked.tap(before, () => { this.#told = ''; });
    hooks.workerForked.tap(before, collect);
    hooks.agentReady.tap(after, (child) => {
      this.#tell('agent-pids', 'app', [child.pid]);
      this.#tell('agent-start', 'app');
      if (!life.started) return;
      this.#tellPids();
      this.#tell('cluster-ready', 'agent', this.#ready());
    });
    hooks.agentExit.tap(after, (child) => {
      if (child.readyAt === null) return;
      // In a close as well: who waits for it as he ends has to know that none will come.
      this.#tell('agent-pids', 'app', []);
      if (life.started) this.#tell('agent-worker-died', 'parent');
    });
    hooks.workerReady.tap(after, ({ pid }) => {
      this.#tellPids();
      if (agent.ready) this.#tell('agent-pids', 'app', [agent.current?.pid], pid);
      if (life.started) this.#tell('cluster-ready', 'app', this.#ready(), pid);
    });
    hooks.workerExit.tap(after, (_, { cause }) => {
      if (life.closing) return;
      this.#tellPids();
      if (cause !== 'requested' && life.started) this.#tell('app-worker-died', 'parent');
    });
    // A hand-over takes one out of charge and puts another one in: that is told once, when it is done.
    life.staffChanged = () => queueMicrotask(() => this.#tellPids());
    hooks.adopted.tap(before, () => this.#introductions.changed());
    hooks.clusterReady.tap(before, () => {
      for (const to of ['parent', 'app', 'agent']) this.#tell('cluster-ready', to, this.#ready());
    });
  }

  #introduce(child: Child): void {
    const { channel, pid } = child;
    const all = this.#introductions;
    channel.on('bus.join', () => all.join(), valid['bus.join']);
    channel.on('bus.listens', (listens) => all.listens(pid, listens), valid['bus.listens']);
    all.changed();
    void child.becameReady.then(() => all.changed());
    void child.leftReady.then(() => all.changed());
    void child.exited.then(() => all.gone(pid));
  }

  #staff() {
    const { agent, workers, life, releases, hooks } = this.#needs;
    const all = [...agent.current ? [agent.current] : [], ...workers.children()].filter(hears);
    const { slots } = workers;
    const wanted = releases.current.loaded.config.workers;
    return {
      colleagues: all.map(({ channel, pid, role, slot, state }) => ({
        pid, slot: messageSlot({ role, slot }), ready: state === 'ready',
        start: (place: BusPlace) => { channel.send('bus.start', place); },
        tell: (roster: Roster) => { channel.send('bus.roster', roster); },
      })),
      slots: slots.length,
      complete: life.started || (slots.length >= wanted && slots.every((slot) => slot.children().length > 0)),
      tapped: tappedActions(hooks),
    };
  }

  /** The agent knows the workers that are in charge and ready: a successor once it has taken over, who drains no more. */
  #tellPids(): void {
    const { agent, life } = this.#needs;
    if (!agent.ready || life.closing) return;
    const pids = this.#pids();
    const told = pids.join();
    if (told === this.#told) return;
    this.#told = told;
    this.#tell('app-pids', 'agent', pids);
  }

  #tell(action: string, to: string, data?: unknown, receiverPid?: number): void {
    this.#send({ action, to, data, ...(receiverPid === undefined ? {} : { receiverPid }) });
  }

  #send(envelope: Envelope): void {
    this.#router.route(envelope, 'master', process.pid);
  }

  #receive(envelope: Envelope): void {
    void this.messenger.receive(envelope, { fault: (error) => this.#needs.faults.caught(`message "${envelope.action}"`, error) });
  }

  #pids(): number[] {
    return this.#needs.workers.ready().map((child) => child.pid);
  }

  #ready() {
    return { address: addressOf(this.#needs.workers), workers: this.#pids() };
  }

  #recipient(child: Child): Recipient[] {
    if (!hears(child)) return [];
    return [{
      pid: child.pid,
      slot: child.slot,
      ready: child.state === 'ready',
      deliver: (envelope) => {
        const sent = child.channel.send('messenger.envelope', envelope);
        if (!sent && child.channel.open) this.#drops.add(`messages to ${processName(child)}, which does not read,`);
        return sent;
      },
    }];
  }
}

/** One that was killed reads nothing more, and who asks it would wait for nothing. */
const hears = ({ channel, state }: Child): boolean => channel.open && state !== 'killing' && state !== 'exited';

type MessageTap = { name: string; fn: (envelope: Envelope) => unknown; actions?: unknown };
const BUILT_IN: ReadonlySet<string> = new Set(Object.keys(pluginDefaults('start')));

/** Actions that taps of the hook `message` want to see; null: one of them wants all. */
function tappedActions({ message }: Hooks): string[] | null {
  const taps = message.taps as unknown as MessageTap[];
  return taps.every(({ actions }) => actions) ? [...new Set(taps.flatMap(({ actions }) => actions as string[]))] : null;
}

/** A tap of the hook `message` is called for the actions that it names: `tap({ name, actions: [...] }, ...)`. */
function seeTaps({ message }: Hooks, logger: Logger, changed: () => void): void {
  message.intercept({
    register(tap) {
      const { name, fn, actions } = tap as unknown as MessageTap;
      queueMicrotask(changed);
      if (actions === undefined && !BUILT_IN.has(name)) {
        logger.warn(`"${name}" taps the hook message without \`actions\`: all messages between workers and agent go through the master, `
          + 'which makes them several times slower');
        return tap;
      }
      if (!Array.isArray(actions) || !actions.every((action) => typeof action === 'string')) {
        throw new ClusterError('ERR_CLUSTER_PLUGIN',
          `plugin "${name}" taps the hook message: expected \`actions\`, a list of texts, found ${show(actions)}`);
      }
      return { ...tap, fn: (envelope: Envelope) => actions.includes(envelope.action) ? fn(envelope) : undefined };
    },
  });
}

/** Bytes that a parent process may leave unread. */
const UNREAD = LONGEST + 8 * 1024 * 1024;

/** Sends to the process that has forked this one, where it is there and reads. */
function toParent(envelope: Envelope, drops: Drops): void {
  // A parent that has gone, or closed the channel, is no reason to fail.
  if (!process.connected) return;
  if (unreadOn(process) > UNREAD) drops.add('messages to the parent process, which does not read,');
  else process.send?.(envelope, undefined, {}, () => {});
}

/** Hears a parent process out, as little trusted as a child: one that breaks the rules of Node's channel loses it. Returns what ends it. */
function listenToParent(hear: (message: unknown) => void, logger: Logger): () => void {
  const intake = new Intake();
  guardIpc(process, {
    longest: LONGEST,
    slice: SLICE,
    admit: (message) => {
      if (!isInternal(message) || !/^NODE_HANDLE_N?ACK$/.test(message.cmd)) return true;
      return awaitsHandle(process) || 'it acknowledges a handle that it was not sent';
    },
    took: (...slice) => intake.took(...slice),
    misused: (reason) => {
      logger.warn(`the channel to the parent process (pid ${process.ppid}) is closed, as ${reason}`);
      if (process.connected) process.disconnect();
    },
  });
  process.on('message', hear);
  return () => { process.off('message', hear); };
}

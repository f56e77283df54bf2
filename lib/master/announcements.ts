import type { Address, Envelope } from '../ipc/messages.js';
import type { Directory, Recipient } from '../messenger/router.js';
import type { AgentGroup } from './processes/agent-group.js';
import type { Child } from './processes/child.js';
import type { WorkerGroup } from './processes/worker-group.js';

export interface AnnouncementsContext {
  workers: WorkerGroup;
  agents: AgentGroup;
  address(): Address | null;
  /** An Egg framework is served: it waits for its own names. */
  isEgg(): boolean;
  send(envelope: Envelope): void;
}

/** Our names for what the master tells its children, and Egg's for the same. */
const EGG_NAMES: Readonly<Record<string, string>> = { 'cluster-ready': 'egg-ready', 'agent-pids': 'egg-pids', 'app-pids': 'egg-pids' };

/** What the master tells the others about the cluster, as in the seed's sequence, and who they are. */
export class Announcements {
  readonly #context: AnnouncementsContext;

  constructor(context: AnnouncementsContext) {
    this.#context = context;
  }

  agentReady(child: Child, started: boolean): void {
    this.#tell('agent-pids', 'app', [child.pid]);
    this.#tell('agent-start', 'app');
    if (!started) return;
    this.#tell('app-pids', 'agent', this.#pids());
    this.#tell('cluster-ready', 'agent', this.#ready());
  }

  agentLost(): void {
    this.#tell('agent-pids', 'app', []);
    this.#tell('agent-worker-died', 'parent');
  }

  workerReady(child: Child, started: boolean): void {
    const { current } = this.#context.agents;
    if (current) this.#tell('app-pids', 'agent', this.#pids());
    if (current?.state === 'ready') this.#tell('agent-pids', 'app', [current.pid], child.pid);
    if (started) this.#tell('cluster-ready', 'app', this.#ready(), child.pid);
  }

  workerLost(child: Child): void {
    this.#tell('app-pids', 'agent', this.#pids());
    if (child.exit?.cause !== 'requested') this.#tell('app-worker-died', 'parent');
  }

  clusterReady(): void {
    for (const to of ['parent', 'app', 'agent']) this.#tell('cluster-ready', to, this.#ready());
  }

  /** The processes that messages can go to, as they are at each moment. */
  directory(rest: Pick<Directory, 'master' | 'allow'>): Directory {
    const { workers, agents } = this.#context;
    return {
      ...rest,
      workers: () => workers.children().flatMap(recipient),
      agent: () => agents.current ? recipient(agents.current)[0] ?? null : null,
      parent: (envelope) => {
        // A parent that has gone, or closed the channel, is no reason to fail.
        if (process.connected) process.send?.(envelope, undefined, {}, () => {});
      },
    };
  }

  #tell(action: string, to: string, data?: unknown, receiverPid?: number): void {
    const names = this.#context.isEgg() && EGG_NAMES[action] ? [action, EGG_NAMES[action]] : [action];
    for (const name of names) this.#context.send({ action: name as string, to, data, ...(receiverPid === undefined ? {} : { receiverPid }) });
  }

  #pids(): number[] {
    return this.#context.workers.ready().map((child) => child.pid);
  }

  #ready() {
    return { address: this.#context.address(), workers: this.#pids() };
  }
}

function recipient(child: Child): Recipient[] {
  if (!child.channel.open) return [];
  return [{ pid: child.pid, slot: child.slot, ready: child.state === 'ready', deliver: (envelope) => { child.channel.send('messenger.envelope', envelope); } }];
}

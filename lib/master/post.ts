import type { Hooks } from '../api/hooks.js';
import type { Address, Envelope } from '../ipc/messages.js';
import { ProcessMessenger } from '../messenger/messenger.js';
import { Router } from '../messenger/router.js';
import type { Logger } from '../kit/logger.js';
import type { AgentGroup } from './processes/agent-group.js';
import { Announcements } from './announcements.js';
import type { WorkerGroup } from './processes/worker-group.js';

export interface PostContext {
  hooks: Hooks;
  logger: Logger;
  workers: WorkerGroup;
  agents: AgentGroup;
  hasAgent(): boolean;
  address(): Address | null;
  isEgg: boolean;
}

/** Messages in the master: its own messenger, what it announces, and the way of all others through it. */
export class Post {
  readonly messenger: ProcessMessenger;
  readonly announce: Announcements;
  readonly #router: Router;

  constructor({ hooks, logger, workers, agents, hasAgent, address, isEgg }: PostContext) {
    const send = (envelope: Envelope) => this.route(envelope, 'master', process.pid);
    this.messenger = new ProcessMessenger(send, hasAgent);
    this.announce = new Announcements({ workers, agents, address, isEgg: () => isEgg, send });
    this.#router = new Router(this.announce.directory({
      master: (envelope) => {
        try {
          this.messenger.receive(envelope);
        } catch (error) {
          logger.error(error as Error);
        }
      },
      allow: (envelope) => hooks.message.call(envelope) !== false,
    }));
  }

  route(message: unknown, from: 'app' | 'agent' | 'master' | 'parent', senderPid: number): void {
    this.#router.route(message, from, senderPid);
  }

  /** A parent process that forked this one may send messages; without a `to` they are for the master. */
  listenToParent(): () => void {
    const listener = (message: unknown) => this.route(message, 'parent', process.ppid);
    process.on('message', listener);
    return () => { process.off('message', listener); };
  }
}

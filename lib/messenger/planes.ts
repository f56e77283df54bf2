import type { Channel } from '../ipc/channel.js';
import type { ChildRole, Envelope } from '../ipc/messages.js';
import { messageOf } from '../kit/errors.js';
import type { Drops, Logger } from '../kit/logger.js';
import type { Bus, BusNeeds } from './bus.js';
import type { Way } from './messenger.js';

export interface PlanesNeeds extends Pick<BusNeeds, 'self' | 'limit' | 'receive'> {
  channel: Channel<ChildRole, 'master'>;
  logger: Logger;
  drops: Drops;
  /** Loads what few processes need. @throws where it is gone */
  load(): { Bus: new (needs: BusNeeds) => Bus };
}

/** Milliseconds that the master may take to say where the bus is. */
const PATIENCE = 10_000;

/**
 * The ways of a child's messages: past the master to the agent and the workers, by the channel to the master, its parent, and
 * wherever nothing else leads (docs/decisions/bus.md). Nothing of the first is loaded before somebody speaks.
 */
export class Planes implements Way {
  readonly #needs: PlanesNeeds;
  /** Null: the channel carries all. */
  #bus: Bus | null | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(needs: PlanesNeeds) {
    this.#needs = needs;
    const { channel } = needs;
    channel.on('bus.start', (place) => {
      clearTimeout(this.#timer);
      const bus = this.#loaded();
      // Told before it is: those who wait for it wait no longer.
      void bus?.open(place).then((listens) => { if (place.dir !== null) channel.send('bus.listens', listens); });
      if (!bus) channel.send('bus.listens', false);
    });
    channel.on('bus.roster', (roster) => this.#bus?.roster(roster));
  }

  send(envelope: Envelope): boolean {
    if (envelope.to === 'master' || envelope.to === 'parent' || envelope.reply !== undefined) return this.#relay(envelope);
    const bus = this.#bus === undefined ? this.#join() : this.#bus;
    return bus ? bus.send(envelope) : this.#relay(envelope);
  }

  forget(request: number): void {
    this.#bus?.forget(request);
  }

  async drained(pid?: number): Promise<void> {
    await this.#bus?.room(pid);
  }

  dropped({ senderPid, action }: Envelope): void {
    this.#needs.drops.add(`messages "${action}" from pid ${senderPid}, which nobody listens to yet,`);
  }

  /**
   * Resolves when what was sent has left this process; `within` milliseconds, or not. What is for who is not there yet is waited
   * for while `someCome`.
   */
  async sent(within: number, someCome: () => boolean): Promise<void> {
    const until = performance.now() + within;
    while (this.#bus && !this.#bus.isIdle(someCome()) && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  #join(): Bus | null {
    const bus = this.#loaded();
    if (!bus) return null;
    this.#needs.channel.send('bus.join', null);
    this.#timer = setTimeout(() => {
      this.#needs.logger.warn('messages go through the master: it has not said where else');
      void bus.open({ dir: null, token: Buffer.alloc(0) });
    }, PATIENCE).unref();
    return bus;
  }

  #loaded(): Bus | null {
    if (this.#bus !== undefined) return this.#bus;
    const { load, logger, self, limit, receive, drops } = this.#needs;
    try {
      this.#bus = new (load().Bus)({
        self, limit, receive, drops, relay: (envelope) => this.#relay(envelope), say: (text) => logger.warn(text),
      });
    } catch (error) {
      this.#bus = null;
      logger.warn(`messages go through the master: ${messageOf(error)}`);
    }
    return this.#bus;
  }

  #relay(envelope: Envelope): boolean {
    const { channel, drops } = this.#needs;
    const sent = channel.send('messenger.envelope', envelope);
    if (!sent && channel.open) drops.add('messages to the master, which does not read,');
    return sent;
  }
}

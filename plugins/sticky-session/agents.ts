import http from 'node:http';
import { parsesAnswers } from '../../lib/runtime.js';
import { Link } from './link.js';

/** Kept sockets of one owner: those that are under way are as many as they are. */
const MAX_FREE = 64;

/** Kept connections to the other workers, and how much is on its way to each. */
export class Agents {
  readonly #agents = new Map<number, http.Agent>();
  readonly #links = new Map<number, Link>();
  #hasLinks = false;
  readonly #underWay = new Map<number, number>();
  readonly #waiting = new Set<() => void>();

  of(id: number): http.Agent {
    let agent = this.#agents.get(id);
    if (!agent) this.#agents.set(id, agent = new http.Agent({ keepAlive: true, maxFreeSockets: MAX_FREE }));
    return agent;
  }

  /** Resolves when it is known whether links can be had: only with Node's own parser. */
  async begins(): Promise<void> {
    this.#hasLinks = await parsesAnswers();
  }

  /** Null: there are none. */
  linkTo(id: number, socketOf: (id: number) => string): Link | null {
    if (!this.#hasLinks) return null;
    let link = this.#links.get(id);
    if (!link?.isOpen) {
      const made: Link = link = new Link(socketOf(id), () => { if (this.#links.get(id) === made) this.#links.delete(id); });
      this.#links.set(id, made);
    }
    return link;
  }

  begin(id: number): void {
    this.#underWay.set(id, (this.#underWay.get(id) ?? 0) + 1);
  }

  end(id: number): void {
    const left = (this.#underWay.get(id) ?? 0) - 1;
    if (left > 0) this.#underWay.set(id, left);
    else this.#underWay.delete(id);
    for (const look of [...this.#waiting]) look();
  }

  /** Resolves when nothing is on its way to a process. */
  idle(id: number): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (this.#underWay.has(id)) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** A process takes no more requests: idle connections to it close from this side, where it is known that nothing is on its way. */
  retire(isAlive: (id: number) => boolean): void {
    for (const [id, link] of this.#links) if (!isAlive(id)) link.retire();
    for (const [id, agent] of this.#agents) {
      if (isAlive(id)) continue;
      this.#agents.delete(id);
      // Not destroy(), which would cut those in use as well.
      (agent as unknown as { keepAlive: boolean }).keepAlive = false;
      for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
    }
  }
}

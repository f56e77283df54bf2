import { whereWritten } from '../../config/provenance.js';
import type { Expected, Served } from '../../ipc/messages.js';
import type { Logger } from '../../kit/logger.js';
import { formatAddress } from '../../kit/sockets.js';
import type { Release, Releases } from '../releases.js';
import type { Child } from './child.js';
import { processName } from './exit-report.js';

/** Milliseconds that a worker may take for what those before it have served, beside the configured address; in development, and else. */
const GRACE = { quick: 300, usual: 5_000 };
/**
 * Milliseconds that it has to be there, as others close what they looked with in a timer (docs/decisions/ready.md); and where this code
 * has shown that it does not, for `SHOWN` ms.
 */
const STILL = { usual: 60, shown: 1 };
const SHOWN = 1_000;
/** Generations of which is remembered what they let go: those that are forked from. */
const REMEMBERED = 4;

/**
 * What workers serve, so that the next one in a slot is ready when it serves that: an address that it opened later than the
 * first, or not at all, would be nobody's while its predecessor drains. What a generation does not serve any more is said
 * once, and let go.
 */
export class ServedBefore {
  /** The last that was ready, by slot; it goes on telling what it serves. */
  readonly #last = new Map<number, Child>();
  readonly #gone = new Map<number, Set<string>>();
  readonly #needs: { readonly logger: Logger; readonly releases: Releases };

  constructor(needs: { readonly logger: Logger; readonly releases: Releases }) {
    this.#needs = needs;
  }

  /** For the next worker of this slot; null where nobody has served anything yet. */
  expected(slot: number, { generation, quick = false, loaded: { config } }: Release): Expected | null {
    const before = this.#last.get(slot) ?? [...this.#last.values()][0];
    if (!before) return null;
    const served = this.#last.has(slot) ? before.addresses : this.#common();
    const isSame = before.listen.port === config.port && before.listen.path === config.path;
    const main = served.filter(({ configured }) => configured);
    // One server on the configured port may listen on another host now; of two, both are missed.
    const others = [...served.filter(({ configured, own }) => !configured && !own), ...(isSame && main.length > 1 ? main : [])];
    const gone = this.#gone.get(generation);
    const names = new Set(others.map(({ name }) => name).filter((name) => !gone?.has(name)));
    // With `server: false` from now on nothing is meant to be there.
    const configured = main.length > 0 && (config.server || !before.listen.hasServer);
    if (!configured && names.size === 0) return null;
    const still = quick || this.#hasShown(generation) ? STILL.shown : STILL.usual;
    return { configured, others: [...names], quick, still, grace: quick ? GRACE.quick : GRACE.usual };
  }

  /** Workers of this code have served for a while, and none has closed what it is there for. */
  #hasShown(generation: number): boolean {
    const same = [...this.#last.values()].filter((child) => child.generation === generation);
    return same.some(({ readyAt }) => readyAt !== null && Date.now() - readyAt >= SHOWN) && same.every(({ hasLooked }) => !hasLooked);
  }

  /** To be told of each worker that becomes ready. */
  ready(child: Child): void {
    this.#last.set(child.slot, child);
    if (child.instead) this.#tellInstead(child);
    if (child.missing.length > 0) this.#letGo(child);
  }

  /** What all slots serve: one with a port for each slot has a name in none of the others. */
  #common(): Served[] {
    const [first = [], ...others] = [...this.#last.values()].map(({ addresses }) => addresses);
    return first.filter(({ name }) => others.every((served) => served.some((one) => one.name === name)));
  }

  #letGo(child: Child): void {
    const news = child.missing.filter((name) => !this.#goneOf(child.generation).has(name));
    for (const name of news) this.#goneOf(child.generation).add(name);
    if (news.length === 0) return;
    this.#needs.logger.warn(`${processName(child)} does not listen on ${news.join(', ')}, as those before it did: let go`);
  }

  #tellInstead(child: Child): void {
    const gone = this.#goneOf(child.generation);
    const wanted = whereItListens(child.listen);
    if (gone.has(wanted)) return;
    gone.add(wanted);
    const { loaded } = this.#needs.releases.after(child.generation);
    const where = whereWritten(loaded.provenance, [child.listen.path === undefined ? 'port' : 'path']);
    const served = child.addresses.map(formatAddress).join(', ');
    this.#needs.logger.warn(`the app does not listen on ${wanted} (${where}): it is taken as it is, on ${served}`);
  }

  #goneOf(generation: number): Set<string> {
    let gone = this.#gone.get(generation);
    if (!gone) this.#gone.set(generation, gone = new Set());
    for (const old of this.#gone.keys()) if (old <= generation - REMEMBERED) this.#gone.delete(old);
    return gone;
  }
}

/** `port 7001`, for a person. */
export const whereItListens = ({ port, path }: { port: number; path?: string }): string => path ?? `port ${port}`;

import type { Master } from '../../lib/index.js';
import { relative } from './failure.js';
import type { Uses } from './uses.js';

/** Egg's agents load what is there by these names. */
const OF_EGGS_AGENT = /^(?:agent\b|config[/\\]|app[/\\]extend[/\\]agent)/;

/** Whether the agent runs what lies on the disk: it starts again when what it has loaded has changed, and only then. */
export class AgentCode {
  readonly #master: Master;
  readonly #uses: Uses;
  /** When it was last known that what runs is not wanted any more, milliseconds since the epoch. */
  #oldAt = 0;

  constructor(master: Master, uses: Uses) {
    this.#master = master;
    this.#uses = uses;
  }

  /** Remembered until an agent has started after it, as a reload may come to nothing. */
  changed(files: readonly string[]): void {
    if (this.concerns(files)) this.outdate();
  }

  concerns(files: readonly string[]): boolean {
    const own = this.#uses.of('agent');
    const { entry } = this.#master.target;
    return files.some((file) => own.has(file) || file === entry.agent || (entry.framework !== undefined && this.#mayBeNew(file)));
  }

  outdate(): void {
    this.#oldAt = Date.now();
  }

  /** Also where there ought to be one, and none is up. */
  get isOld(): boolean {
    const { target: { entry } } = this.#master;
    if (typeof entry.agent !== 'string' && !entry.framework) return false;
    const agent = this.#master.children().find(({ role, state }) => role === 'agent' && state === 'ready');
    return !agent || agent.startedAt <= this.#oldAt;
  }

  /** Nobody has loaded it yet. */
  #mayBeNew(file: string): boolean {
    return !this.#uses.has(file) && OF_EGGS_AGENT.test(relative(file, this.#master.target.realDir));
  }
}

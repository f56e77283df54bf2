import { setTimeout as delay } from 'node:timers/promises';
import { MARK } from '../../ipc/messages.js';
import type { Logger } from '../../kit/logger.js';
import { markedCallers, markedOrphans, type MarkedProcess } from '../../kit/marked-processes.js';
import { isRunning, signal, type ProcessIdentity } from '../../kit/processes.js';

/** Children that end one after the other are looked after together; ms. */
const TOGETHER = 100;
/** A look is followed by a pause of this many times its own length: where thousands of processes run it costs a tenth of a core at most. */
const PAUSE = 9;
/** Between SIGTERM and SIGKILL, ms. */
const PATIENCE = 5_000;
/** How often they are looked for while the master waits for them, ms. */
const LOOK = 50;
/** How long who has given the master an order is spared, and who called that: a deploy script goes on after its reload; ms. */
const SPARED = 600_000;
/** How many are named in one line. */
const NAMED = 5;

/** What the system tells and does; a test has its own. */
export interface System {
  find: typeof markedOrphans;
  callers: typeof markedCallers;
  isRunning: typeof isRunning;
  signal: typeof signal;
}

interface Ending {
  process: MarkedProcess;
  /** performance.now() of its SIGTERM. */
  since: number;
}

/**
 * Ends what children have started and left behind (docs/decisions/leftovers.md): SIGTERM, and SIGKILL after 5 s. Each child's
 * environment has a mark of its own, which its processes inherit: by the time that it is gone they have lost their parent, and
 * nothing else tells whose they were.
 */
export class Leftovers {
  /** What the marks of all children of this master begin with. */
  readonly family = `${process.pid.toString(36)}-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`;
  readonly #logger: Logger;
  readonly #system: System;
  /** Marks of children that live. */
  readonly #living = new Set<string>();
  readonly #ending = new Map<number, Ending>();
  /** Commands of ours that a child runs, and who called them; with the performance.now() until which they are spared. */
  readonly #spared = new Map<number, ProcessIdentity & { until: number }>();
  #count = 0;
  #timer: NodeJS.Timeout | undefined;
  /** performance.now() of the next look. */
  #due = Infinity;
  #looking: Promise<void> = Promise.resolve();
  #pauseUntil = 0;
  #closed = false;

  constructor(logger: Logger, system: System = { find: markedOrphans, callers: markedCallers, isRunning, signal }) {
    this.#logger = logger;
    this.#system = system;
  }

  /** A mark for the next child; `name`: `worker#0`. */
  mark(name: string): string {
    const mark = `${this.family}:${++this.#count}:${name}`;
    this.#living.add(mark);
    return mark;
  }

  /** The child is gone, or never came to be. */
  ended(mark: string): void {
    this.#living.delete(mark);
    this.#soon(TOGETHER);
  }

  /**
   * Somebody gives the master an order. If a child has started it, it and whoever called it must outlive that child: a reload,
   * restart or stop from within ends the very worker that asked for it. What they have started is left alone as well.
   */
  async spare(pid: number): Promise<void> {
    const now = performance.now();
    for (const [known, one] of this.#spared) if (now > one.until || !this.#system.isRunning(one)) this.#spared.delete(known);
    const callers = await this.#system.callers(pid, MARK, (mark) => mark.startsWith(`${this.family}:`));
    for (const caller of callers) this.#spared.set(caller.pid, { ...caller, until: now + SPARED });
  }

  /** It is not to be ended with the child that has started it. */
  readonly isSpared = (pid: number): boolean => {
    const one = this.#spared.get(pid);
    return one !== undefined && performance.now() <= one.until && this.#system.isRunning(one);
  };

  /**
   * All children are gone. Resolves when all that they left is gone as well, in a little more than 5 s at most; where somebody
   * is in a hurry, at once.
   */
  async end(hurried: Promise<unknown>): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    if (this.#count === 0) return;
    let isHurried = false;
    void hurried.then(() => { isHurried = true; });
    await this.#look();
    const until = performance.now() + PATIENCE;
    while (this.#left().length > 0 && performance.now() < until && !isHurried) await delay(LOOK);
    for (const { process } of this.#left()) this.#kill(process);
    // What they have started in their last moment.
    if (this.#ending.size > 0) for (const process of await this.#find()) this.#kill(process);
  }

  #soon(wait: number): void {
    const now = performance.now();
    const due = Math.max(now + wait, this.#pauseUntil);
    if (this.#closed || due >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => void this.#look(), due - now).unref();
  }

  /** One look after the other. */
  #look(): Promise<void> {
    clearTimeout(this.#timer);
    this.#due = Infinity;
    return this.#looking = this.#looking.then(async () => {
      const began = performance.now();
      const found = await this.#find();
      const now = performance.now();
      this.#pauseUntil = now + PAUSE * (now - began);
      this.#treat(found, now);
      if (this.#ending.size > 0) this.#soon(Math.min(...[...this.#ending.values()].map(({ since }) => since)) + PATIENCE - now);
    });
  }

  async #find(): Promise<MarkedProcess[]> {
    try {
      const isLeft = (mark: string): boolean => mark.startsWith(`${this.family}:`) && !this.#living.has(mark);
      return await this.#system.find(MARK, (mark, pid) => isLeft(mark) && !this.isSpared(pid));
    } catch (error) {
      this.#logger.debug(`what children have left cannot be looked for: ${(error as Error).message}`);
      return [];
    }
  }

  #treat(found: readonly MarkedProcess[], now: number): void {
    const before = new Map(this.#ending);
    this.#ending.clear();
    const fresh: MarkedProcess[] = [];
    for (const process of found) {
      const known = before.get(process.pid);
      const isKnown = known?.process.startedTick === process.startedTick;
      this.#ending.set(process.pid, isKnown && known ? known : { process, since: now });
      if (!isKnown) fresh.push(process);
      else if (now - known.since >= PATIENCE) this.#kill(process);
    }
    this.#say(fresh);
    for (const process of fresh) this.#signal(process, 'SIGTERM');
  }

  #say(fresh: readonly MarkedProcess[]): void {
    const byMark = new Map<string, MarkedProcess[]>();
    for (const process of fresh) byMark.set(process.mark, [...byMark.get(process.mark) ?? [], process]);
    for (const [mark, left] of byMark) {
      const count = left.length === 1 ? 'a process' : `${left.length} processes`;
      const named = left.slice(0, NAMED).map(({ pid, command }) => `pid ${pid} (${command})`).join(', ');
      const more = left.length > NAMED ? ` and ${left.length - NAMED} more` : '';
      this.#logger.info(`${mark.split(':')[2]} has left ${count}, which get SIGTERM: ${named}${more}; \`leaveChildren: true\` keeps them`);
    }
  }

  #kill(process: MarkedProcess): void {
    if (this.#signal(process, 'SIGKILL')) this.#logger.info(`pid ${process.pid} (${process.command}) did not end by SIGTERM: SIGKILL`);
  }

  /** Its number may be another process's by now. */
  #signal(process: MarkedProcess, name: NodeJS.Signals): boolean {
    return this.#system.isRunning(process) && this.#system.signal(process.pid, name);
  }

  #left(): Ending[] {
    return [...this.#ending.values()].filter(({ process }) => this.#system.isRunning(process));
  }
}

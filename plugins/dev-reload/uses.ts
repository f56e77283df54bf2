import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import type { ChildRole, ChildView, Master } from '../../lib/index.js';
import { isLoadedFiles, isWritten } from './messages.js';

/** A change comes this long after a child said that it is about to write the file, at most, ms. */
const RECENT = 1_000;
/** Names of one child: more are no application's. */
const MOST = 50_000;
/** What is opened for writing, of the flags in /proc. */
const WRITING = 0o3;

interface Use {
  loaded: Set<string>;
  /** By file, when it was last said; `performance.now()`. */
  wrote: Map<string, number>;
}

const NONE: ReadonlySet<string> = new Set();

/** What the children have loaded, and what they write. */
export class Uses {
  readonly #living = new Map<ChildView, Use>();
  /** Of those that are gone: who did not start has loaded less than the next save needs. */
  readonly #before: Record<ChildRole, Set<string>> = { agent: new Set(), worker: new Set() };
  /** What is read before a process knows what it will be. */
  readonly #early = new Set<string>();
  /** What the last that are gone have written. */
  readonly #lately = new Map<string, number>();
  readonly #changed: () => void;

  /** `changed`: there is more than before. */
  constructor(master: Master, changed: () => void) {
    const { hooks } = master;
    this.#changed = changed;
    const forked = (child: ChildView) => this.#listen(child);
    const ready = (child: ChildView) => this.#forget(child.role);
    const exited = (child: ChildView) => this.#exited(child);
    hooks.workerForked.tap('dev-reload', forked);
    hooks.agentForked.tap('dev-reload', forked);
    hooks.workerReady.tap('dev-reload', ready);
    hooks.agentReady.tap('dev-reload', ready);
    hooks.workerExit.tap('dev-reload', exited);
    hooks.agentExit.tap('dev-reload', exited);
  }

  /** Files that children of a role have loaded. */
  of(role: ChildRole): Set<string> {
    const all = new Set(this.#before[role]);
    for (const [child, { loaded }] of this.#living) if (child.role === role) for (const file of loaded) all.add(file);
    return all;
  }

  all(): Set<string> {
    return new Set([...this.of('worker'), ...this.of('agent')]);
  }

  has(file: string): boolean {
    const { worker, agent } = this.#before;
    return worker.has(file) || agent.has(file) || [...this.#living.values()].some(({ loaded }) => loaded.has(file));
  }

  /** A process that waits, empty, has read it, so it is of no use any more. */
  isEarly(file: string): boolean {
    return this.#early.has(file);
  }

  /** A child has just written it, or has it open for writing. */
  isWritten(file: string): boolean {
    const now = performance.now();
    for (const [{ pid }, { wrote }] of this.#living) {
      if (now - (wrote.get(file) ?? -RECENT) < RECENT || hasOpen(pid, file)) return true;
    }
    return now - (this.#lately.get(file) ?? -RECENT) < RECENT;
  }

  #listen(child: ChildView): void {
    const use: Use = { loaded: new Set(), wrote: new Map() };
    this.#living.set(child, use);
    child.channel.on('dev.loaded', ({ files, early }) => {
      for (const file of use.loaded.size < MOST ? files : NONE) {
        use.loaded.add(file);
        if (early && this.#early.size < MOST) this.#early.add(file);
      }
      this.#changed();
    }, isLoadedFiles);
    child.channel.on('dev.wrote', (file) => {
      if (use.wrote.size < MOST) use.wrote.set(path.normalize(file), performance.now());
    }, isWritten);
  }

  /** One that is ready has loaded all that there is to load; what its predecessors had counts until its own word of it. */
  #forget(role: ChildRole): void {
    const before = this.#before[role];
    setTimeout(() => {
      const living = [...this.#living].some(([child, { loaded }]) => child.role === role && child.state === 'ready' && loaded.size > 0);
      if (living) before.clear();
    }, RECENT).unref();
  }

  #exited(child: ChildView): void {
    const use = this.#living.get(child);
    this.#living.delete(child);
    if (!use) return;
    const before = this.#before[child.role];
    for (const file of use.loaded) if (before.size < MOST) before.add(file);
    this.#lately.clear();
    for (const [file, at] of use.wrote) this.#lately.set(file, at);
  }
}

/** Linux only; elsewhere what a child holds open is not known. */
function hasOpen(pid: number, file: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => isWriter(pid, fd, file));
  } catch {
    return false;
  }
}

function isWriter(pid: number, fd: string, file: string): boolean {
  try {
    if (readlinkSync(`/proc/${pid}/fd/${fd}`) !== file) return false;
    const [, flags = '0'] = /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1')) ?? [];
    return (Number.parseInt(flags, 8) & WRITING) !== 0;
  } catch {
    // Closed meanwhile.
    return false;
  }
}

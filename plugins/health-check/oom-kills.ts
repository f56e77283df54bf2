import { readFileSync } from 'node:fs';

/** How long after the kernel's count has risen a SIGKILL is put down to it, ms. */
const CREDIT = 2_000;

/** Where the kernel counts the processes it killed for lack of memory: of our control group (version 2, version 1), else of the machine. */
export function countersOf(ownGroups: string): string[] {
  const places: string[] = [];
  for (const line of ownGroups.split('\n')) {
    const [, controllers, group] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (group === undefined) continue;
    const path = group === '/' ? '' : group;
    // In a container the group's path may be the host's, and its own files stand at the top.
    if (controllers === '') places.push(`/sys/fs/cgroup${path}/memory.events`, '/sys/fs/cgroup/memory.events');
    else if (controllers?.split(',').includes('memory')) {
      places.push(`/sys/fs/cgroup/memory${path}/memory.oom_control`, '/sys/fs/cgroup/memory/memory.oom_control');
    }
  }
  return [...places, '/proc/vmstat'];
}

/** Knows whether the kernel has killed somebody for lack of memory just now. */
export class OomKills {
  readonly #file: string | null;
  #count: number;
  /** Kills that no exit has been put down to yet, and when they were seen. */
  #credits: number[] = [];

  constructor(files: readonly string[]) {
    this.#file = files.find((file) => read(file) !== null) ?? null;
    this.#count = this.#read();
  }

  /** To be called every now and then, so that what happened to others long ago is forgotten. */
  look(now = performance.now()): void {
    const count = this.#read();
    for (let n = this.#count; n < count; n++) this.#credits.push(now);
    this.#count = count;
    this.#credits = this.#credits.filter((time) => now - time < CREDIT);
  }

  /** A process has died of a SIGKILL that nobody of ours sent: was it the kernel? */
  claim(now = performance.now()): boolean {
    this.look(now);
    return this.#credits.shift() !== undefined;
  }

  #read(): number {
    return this.#file === null ? 0 : read(this.#file) ?? 0;
  }
}

function read(file: string): number | null {
  try {
    const [, count] = /^oom_kill (\d+)$/m.exec(readFileSync(file, 'latin1')) ?? [];
    return count === undefined ? null : Number(count);
  } catch {
    return null;
  }
}

/** The counters of this process. */
export function ownCounters(): string[] {
  try {
    return countersOf(readFileSync('/proc/self/cgroup', 'latin1'));
  } catch {
    return [];
  }
}

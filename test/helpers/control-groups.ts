import { accessSync, constants, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { startCluster, type ClusterOptions, type Scope, type TestCluster } from './cluster.js';
import { eventually } from './eventually.js';
import { unsuited } from './skips.js';

const ROOT = '/sys/fs/cgroup';

/** Why a test that needs real control groups is skipped; false: they can be made here. */
export function noControlGroups(): string | false {
  try {
    for (const controller of ['memory', 'cpu']) accessSync(path.join(ROOT, controller, 'cgroup.procs'), constants.W_OK);
    return false;
  } catch {
    return unsuited.cgroup;
  }
}

/** What a container is to the kernel: a control group for memory and one for processors (version 1). */
export class ControlGroups {
  readonly dirs: readonly string[];
  readonly #memory: string;
  readonly #cpu: string;

  constructor(limits: { megabytes?: number; cpus?: number }) {
    const name = `hatchery-test-${process.pid}-${Date.now().toString(36)}`;
    this.dirs = [this.#memory, this.#cpu] = [path.join(ROOT, 'memory', name), path.join(ROOT, 'cpu', name)] as const;
    for (const dir of this.dirs) mkdirSync(dir);
    this.limit(limits);
  }

  /** As an in-place resize writes them. */
  limit({ megabytes, cpus }: { megabytes?: number; cpus?: number }): void {
    if (megabytes !== undefined) writeFileSync(path.join(this.#memory, 'memory.limit_in_bytes'), String(megabytes * 2 ** 20));
    if (cpus !== undefined) writeFileSync(path.join(this.#cpu, 'cpu.cfs_quota_us'), String(cpus * 100_000));
  }

  /** Processes that the kernel has killed here for lack of memory. */
  get oomKills(): number {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync(path.join(this.#memory, 'memory.oom_control'), 'latin1'))?.[1] ?? NaN);
  }

  /** The most that was ever used, MB. */
  get peak(): number {
    return Number(readFileSync(path.join(this.#memory, 'memory.max_usage_in_bytes'), 'latin1')) / 2 ** 20;
  }

  /** Once nobody is in them any more. */
  async remove(): Promise<void> {
    for (const dir of this.dirs) {
      await eventually(() => readFileSync(path.join(dir, 'cgroup.procs'), 'latin1') === '');
      rmdirSync(dir);
    }
  }
}

/** Starts a cluster in control groups of its own, which go after it. */
export async function startInGroups(
  scope: Scope, limits: { megabytes?: number; cpus?: number }, target: string, options: ClusterOptions = {},
): Promise<{ cluster: TestCluster; groups: ControlGroups }> {
  const groups = new ControlGroups(limits);
  try {
    return { cluster: await startCluster(scope, target, { ...options, groups: groups.dirs }), groups };
  } finally {
    scope.after(() => groups.remove());
  }
}

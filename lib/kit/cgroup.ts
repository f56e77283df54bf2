import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Where the kernel shows what it is asked about; another directory in tests. */
const ROOT = '/';

/** What a container may use of memory, bytes. */
export interface MemoryLimit {
  limit: number;
  /** In use, without what the kernel could give back at once (its cache of files): what counts when the limit is reached. */
  workingSet: number;
}

interface Version {
  /** Files of one control group; `none`: no limit. */
  cpu(read: (file: string) => string | null): number | null;
  memory(read: (file: string) => string | null): MemoryLimit | null;
}

const positive = (text: string | null | undefined): number | null => {
  const number = Number(text ?? NaN);
  return Number.isFinite(number) && number > 0 ? number : null;
};
const ratio = (quota: number | null, period: number | null): number | null => quota === null || period === null ? null : quota / period;
/** Version 1 tells "no limit" as the largest number of pages. */
const UNLIMITED = 2 ** 60;

interface MemoryFiles { limit: string; usage: string; inactive: RegExp }

/** The kernel works for memory.stat: it is read where there is a limit. */
function memoryOf(read: (file: string) => string | null, files: MemoryFiles): MemoryLimit | null {
  const limit = positive(read(files.limit));
  const usage = limit === null || limit >= UNLIMITED ? null : positive(read(files.usage));
  if (limit === null || usage === null) return null;
  return { limit, workingSet: Math.max(0, usage - Number(files.inactive.exec(read('memory.stat') ?? '')?.[1] ?? 0)) };
}

/** https://docs.kernel.org/admin-guide/cgroup-v2.html and cgroup-v1/memory.html, scheduler/sched-bwc.html. */
const VERSIONS: Readonly<Record<1 | 2, Version>> = {
  1: {
    cpu: (read) => ratio(positive(read('cpu.cfs_quota_us')), positive(read('cpu.cfs_period_us'))),
    memory: (read) => memoryOf(read,
      { limit: 'memory.limit_in_bytes', usage: 'memory.usage_in_bytes', inactive: /^total_inactive_file (\d+)$/m }),
  },
  2: {
    cpu(read) {
      const [quota, period] = (read('cpu.max') ?? '').trim().split(' ');
      return ratio(positive(quota), positive(period));
    },
    memory: (read) => memoryOf(read, { limit: 'memory.max', usage: 'memory.current', inactive: /^inactive_file (\d+)$/m }),
  },
};

interface Group {
  version: Version;
  /** Its directory and those of the groups around it, as far as they can be seen: a limit of each holds. */
  dirs: string[];
}

type Controller = 'cpu' | 'memory';

/** A process is rarely moved, and whoever watches a limit looks often: where its files are is looked up anew after so long, ms. */
const KEPT = 10_000;
const groups = new Map<string, { group: Group | null; at: number }>();

/** The control group of this process that governs a resource; null where there is none, or it cannot be seen. */
function groupOf(controller: Controller, root: string): Group | null {
  const key = `${controller} ${root}`;
  const now = performance.now();
  const known = groups.get(key);
  if (known && now - known.at < KEPT) return known.group;
  const group = findGroup(controller, root);
  groups.set(key, { group, at: now });
  return group;
}

function findGroup(controller: Controller, root: string): Group | null {
  const lines = (read(path.join(root, 'proc/self/cgroup')) ?? '').split('\n').map((line) => /^\d+:([^:]*):(.*)$/.exec(line));
  const mounts = (read(path.join(root, 'proc/self/mountinfo')) ?? '').split('\n').map(mountOf);
  for (const kind of [1, 2] as const) {
    const line = lines.find((one) => one && (kind === 2 ? one[1] === '' : one[1]?.split(',').includes(controller)));
    const governs = ({ type, controllers }: Mount) =>
      kind === 2 ? type === 'cgroup2' : type === 'cgroup' && controllers.includes(controller);
    const mount = mounts.find((one) => one && governs(one));
    if (line?.[2] === undefined || !mount) continue;
    return { version: VERSIONS[kind], dirs: upwards(path.join(root, mount.at), insideMount(line[2], mount.root)) };
  }
  return null;
}

interface Mount { root: string; at: string; type: string; controllers: string[] }

/** A line of /proc/self/mountinfo: `31 23 0:28 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory`. */
function mountOf(line: string): Mount | null {
  const [before, after] = line.split(' - ');
  const [, , , root, at] = before?.split(' ') ?? [];
  const [type = '', , options = ''] = after?.split(' ') ?? [];
  return root === undefined || at === undefined ? null : { root, at, type, controllers: options.split(',') };
}

/** In a container the path may be the host's, and what is mounted its own part of it, or all there is to see. */
function insideMount(group: string, mounted: string): string {
  if (mounted === '/' || mounted.startsWith('/..')) return group.startsWith('/..') ? '/' : group;
  return group === mounted || group.startsWith(`${mounted}/`) ? group.slice(mounted.length) : '/';
}

function upwards(top: string, inside: string): string[] {
  // Without the slash at the end that '/' would leave: nothing above the mount is a group.
  const dirs = [path.resolve(top, `.${inside}`)];
  while (dirs.at(-1) !== path.resolve(top) && dirs.length < 64) dirs.push(path.dirname(dirs.at(-1) as string));
  return dirs;
}

/** As UTF-8: of any other text Node makes a buffer of 64 KB each time, and the container plugin looks twice a second. */
function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

const smallest = <T>(found: readonly (T | null)[], size: (one: T) => number): T | null =>
  found.reduce((least, one) => one !== null && (least === null || size(one) < size(least)) ? one : least, null);

/**
 * How many processors this process may run on, quotas apart: os.availableParallelism() has one of version 2 in it in newer
 * versions of Node, rounded down.
 */
export function processors(root = ROOT): number {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(read(path.join(root, 'proc/self/status')) ?? '')?.[1];
  const sizes = list?.split(',').map((range) => {
    const [first = NaN, last = first] = range.split('-').map(Number);
    return last - first + 1;
  });
  const count = sizes?.reduce((sum, size) => sum + size, 0) ?? NaN;
  return count > 0 ? count : os.availableParallelism();
}

/** How many processors a quota (cgroup v1, v2) leaves this process, such as 1.5; null where there is none. Linux. */
export function cpuQuota(root = ROOT): number | null {
  const group = groupOf('cpu', root);
  return group && smallest(group.dirs.map((dir) => group.version.cpu((file) => read(path.join(dir, file)))), (cpus) => cpus);
}

/** The memory limit of this process's control group, the closest one to its end; null where there is none. Linux. */
export function memoryLimit(root = ROOT): MemoryLimit | null {
  const group = groupOf('memory', root);
  return group && smallest(group.dirs.map((dir) => group.version.memory((file) => read(path.join(dir, file)))),
    ({ limit, workingSet }) => limit - workingSet);
}

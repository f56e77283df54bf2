import { execFile } from 'node:child_process';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { cpuQuota, memoryLimit } from '../../lib/kit/cgroup.js';
import type { MachineFacts } from './facts.js';

/** How long another program may take to answer, ms. */
const PATIENCE = 2_000;

const read = (file: string): string | null => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
};

const numberIn = (file: string): number | null => {
  const text = read(file)?.trim();
  return text && /^\d+$/.test(text) ? Number(text) : null;
};

/** A soft limit of a process: Infinity for none, null where it is not told. */
export function limitOf(name: string, pid: number | 'self' = 'self', root = '/'): number | null {
  const found = new RegExp(`^${name} +(\\d+|unlimited) `, 'm').exec(read(path.join(root, `proc/${pid}/limits`)) ?? '')?.[1];
  return found === undefined ? null : found === 'unlimited' ? Infinity : Number(found);
}

/** The output of a program; null where it is not there, fails or takes too long. */
export const outputOf = (program: string, args: readonly string[]): Promise<string | null> => new Promise((resolve) => {
  execFile(program, args, { timeout: PATIENCE, killSignal: 'SIGKILL' }, (error, stdout) => resolve(error ? null : stdout));
});

/** `root`: where the kernel shows what it is asked about; another directory in tests. */
export async function machineFacts(dir: string | null, root = '/'): Promise<MachineFacts> {
  const at = (file: string) => path.join(root, file);
  const migrates = numberIn(at('proc/sys/net/ipv4/tcp_migrate_req'));
  const container = containerOf(root);
  return {
    openFiles: limitOf('Max open files', 'self', root),
    processes: process.getuid?.() === 0 ? null : limitOf('Max processes', 'self', root),
    addressSpace: limitOf('Max address space', 'self', root),
    fileSize: limitOf('Max file size', 'self', root),
    somaxconn: numberIn(at('proc/sys/net/core/somaxconn')),
    migrates: migrates === null ? null : migrates > 0,
    watches: numberIn(at('proc/sys/fs/inotify/max_user_watches')),
    clocksource: read(at('sys/devices/system/clocksource/clocksource0/current_clocksource'))?.trim() ?? null,
    synchronized: container ? null : synchronizedOf(await outputOf('timedatectl', ['show', '-p', 'NTPSynchronized', '--value'])),
    behind: dir === null ? 0 : newerThanNow(dir),
    container,
    first: container ? (read(at('proc/1/cmdline'))?.replaceAll('\0', ' ').trim() ?? null) : null,
    processors: os.availableParallelism(),
    quota: cpuQuota(root),
    memory: memoryLimit(root),
    pids: pidsOf(root),
  };
}

const synchronizedOf = (text: string | null): boolean | null => text === null ? null : text.trim() === 'yes';

function containerOf(root: string): string | null {
  if (process.env.KUBERNETES_SERVICE_HOST) return 'Kubernetes';
  for (const [file, name] of [['.dockerenv', 'Docker'], ['run/.containerenv', 'Podman']] as const) {
    if (statSync(path.join(root, file), { throwIfNoEntry: false })) return name;
  }
  const groups = read(path.join(root, 'proc/1/cgroup')) ?? '';
  return /kubepods/.test(groups) ? 'Kubernetes' : /docker|containerd|libpod|lxc/.test(groups) ? 'a container' : null;
}

/** Version 2, and version 1 with a hierarchy of its own. */
function pidsOf(root: string): MachineFacts['pids'] {
  const group = /^(?:0:|\d+:pids):(.*)$/m.exec(read(path.join(root, 'proc/self/cgroup')) ?? '')?.[1] ?? '/';
  for (const dir of [`sys/fs/cgroup${group}`, 'sys/fs/cgroup', `sys/fs/cgroup/pids${group}`, 'sys/fs/cgroup/pids']) {
    const max = numberIn(path.join(root, dir, 'pids.max'));
    if (max !== null) return { max, current: numberIn(path.join(root, dir, 'pids.current')) ?? 0 };
  }
  return null;
}

/** What was written in the future: the clock was right then, and is behind now. Milliseconds. */
function newerThanNow(dir: string): number {
  try {
    const times = readdirSync(dir).map((name) => statSync(path.join(dir, name), { throwIfNoEntry: false })?.mtimeMs ?? 0);
    return Math.max(0, ...times.map((time) => time - Date.now()));
  } catch {
    return 0;
  }
}

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { cpuQuota, memoryLimit, processors } from '../../lib/kit/cgroup.js';

/** A file system with these files, as the kernel would show them. */
function shown(t: TestContext, files: Record<string, string>): string {
  const root = mkdtempSync(path.join(os.tmpdir(), 'cgroup-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), text);
  }
  return root;
}

const V2 = '29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n';
const v1 = (controllers: string, root = '/') =>
  `35 31 0:32 ${root} /sys/fs/cgroup/${controllers} rw - cgroup cgroup rw,${controllers}\n`;

test('version 2, in a container with a namespace of its own', (t) => {
  const root = shown(t, {
    'proc/self/cgroup': '0::/\n',
    'proc/self/mountinfo': V2,
    'sys/fs/cgroup/cpu.max': '150000 100000\n',
    'sys/fs/cgroup/memory.max': '536870912\n',
    'sys/fs/cgroup/memory.current': '300000000\n',
    'sys/fs/cgroup/memory.stat': 'anon 1\nfile 2\ninactive_file 100000000\nactive_file 5\n',
  });
  assert.equal(cpuQuota(root), 1.5);
  assert.deepEqual(memoryLimit(root), { limit: 536_870_912, workingSet: 200_000_000 });
});

test('version 2, on a host: the limits of the groups around it hold too, the tightest first', (t) => {
  const root = shown(t, {
    'proc/self/cgroup': '0::/system.slice/shop.service\n',
    'proc/self/mountinfo': V2,
    'sys/fs/cgroup/system.slice/shop.service/cpu.max': 'max 100000\n',
    'sys/fs/cgroup/system.slice/shop.service/memory.max': 'max\n',
    'sys/fs/cgroup/system.slice/shop.service/memory.current': '5\n',
    'sys/fs/cgroup/system.slice/cpu.max': '400000 100000\n',
    'sys/fs/cgroup/system.slice/memory.max': '1000000\n',
    'sys/fs/cgroup/system.slice/memory.current': '900000\n',
  });
  assert.equal(cpuQuota(root), 4);
  assert.deepEqual(memoryLimit(root), { limit: 1_000_000, workingSet: 900_000 });
});

test('version 1: each controller has its place; in a container the path is the host\'s', (t) => {
  const root = shown(t, {
    'proc/self/cgroup': '5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/docker/abc\n',
    'proc/self/mountinfo': v1('memory', '/docker/abc') + v1('cpu,cpuacct', '/docker/abc'),
    'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '50000\n',
    'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
    'sys/fs/cgroup/memory/memory.limit_in_bytes': '268435456\n',
    'sys/fs/cgroup/memory/memory.usage_in_bytes': '200000000\n',
    'sys/fs/cgroup/memory/memory.stat': 'inactive_file 1\ntotal_inactive_file 50000000\n',
  });
  assert.equal(cpuQuota(root), 0.5);
  assert.deepEqual(memoryLimit(root), { limit: 268_435_456, workingSet: 150_000_000 });
});

test('no limit, no files, nonsense: null', (t) => {
  const none = shown(t, {
    'proc/self/cgroup': '5:memory:/\n4:cpu:/\n', 'proc/self/mountinfo': v1('memory') + v1('cpu'),
    'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n', 'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n', 'sys/fs/cgroup/memory/memory.usage_in_bytes': '1\n',
  });
  const odd = shown(t, { 'proc/self/cgroup': 'what\n0::/../..\n', 'proc/self/mountinfo': `so\n${V2}`, 'sys/fs/cgroup/cpu.max': 'x y\n' });
  for (const root of [none, odd, shown(t, {})]) assert.deepEqual([cpuQuota(root), memoryLimit(root)], [null, null]);
});

test('processors are counted as the scheduler has them, without a quota', (t) => {
  for (const [list, count] of [['0-3', 4], ['0', 1], ['0-1,4-5,7', 5]] as const) {
    assert.equal(processors(shown(t, { 'proc/self/status': `Name:\tnode\nCpus_allowed_list:\t${list}\n` })), count);
  }
  for (const text of ['', 'Cpus_allowed_list:\tall\n']) {
    assert.equal(processors(shown(t, { 'proc/self/status': text })), os.availableParallelism());
  }
});

test('what stands above the place of the groups is no limit', (t) => {
  const root = shown(t, {
    'proc/self/cgroup': '0::/\n', 'proc/self/mountinfo': V2,
    'sys/fs/cgroup/cpu.max': 'max 100000\n', 'sys/fs/cpu.max': '50000 100000\n', 'cpu.max': '50000 100000\n',
  });
  assert.equal(cpuQuota(root), null);
});

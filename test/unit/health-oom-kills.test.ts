import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { countersOf, OomKills } from '../../plugins/health-check/oom-kills.js';
import { couldBeFull } from '../../plugins/health-check/out-of-memory.js';
import type { Sample } from '../../plugins/health-check/messages.js';

test('the kernel\'s counters: of the own control group first, whichever version, then of the machine', () => {
  assert.deepEqual(countersOf('0::/\n'), ['/sys/fs/cgroup/memory.events', '/sys/fs/cgroup/memory.events', '/proc/vmstat']);
  assert.deepEqual(countersOf('5:cpu,cpuacct:/a\n4:memory:/docker/x\n0::/\n').slice(0, 2),
    ['/sys/fs/cgroup/memory/docker/x/memory.oom_control', '/sys/fs/cgroup/memory/memory.oom_control']);
  assert.deepEqual(countersOf(''), ['/proc/vmstat']);
});

test('a SIGKILL is put down to the kernel once for each kill it counts, and not to one of long ago', (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'oom-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = path.join(dir, 'memory.events');
  const count = (kills: number) => writeFileSync(file, `low 0\nhigh 0\nmax 12\noom 3\noom_kill ${kills}\n`);
  count(4);
  const kernel = new OomKills([path.join(dir, 'absent'), file]);
  assert.equal(kernel.claim(1_000), false, 'what happened before we started');
  count(6);
  assert.equal(kernel.claim(2_000), true);
  assert.equal(kernel.claim(2_100), true);
  assert.equal(kernel.claim(2_200), false);
  count(7);
  kernel.look(3_000);
  assert.equal(kernel.claim(6_000), false, 'somebody else\'s process');
  rmSync(file);
  assert.equal(kernel.claim(7_000), false);
});

test('a heap that cannot have filled up since it was last seen was not full', () => {
  const sample = (heapUsed: number): Sample => ({
    at: 0, rss: 0, heapUsed, heapLimit: 4e9, cpu: 0, eventLoopUtilization: 0, eventLoopDelay: 0, requests: 0, connections: 0,
    inspected: false, checks: [],
  });
  assert.equal(couldBeFull({ last: sample(10e6), heardAt: 0 }, 900), false);
  assert.equal(couldBeFull({ last: sample(10e6), heardAt: 0 }, 5_000), true, 'silent for long enough');
  assert.equal(couldBeFull({ last: sample(3.7e9), heardAt: 0 }, 10), true);
  assert.equal(couldBeFull({ last: null, heardAt: 0 }, 10), true, 'never seen');
});

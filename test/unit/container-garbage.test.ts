import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuQuota, memoryLimit } from '../../lib/kit/cgroup.js';
import { ownMemory } from '../../plugins/container/pressure.js';
import { unsuited } from '../helpers/skips.js';

// Twice a second in a master that has nothing to do, and so collects nothing for minutes.
test('a look at the container leaves no buffers behind', { skip: process.platform !== 'linux' && unsuited.linux }, () => {
  const look = (): void => {
    cpuQuota();
    memoryLimit();
    ownMemory(process.pid);
  };
  look();
  const before = process.memoryUsage().arrayBuffers;
  for (let time = 0; time < 20; time++) look();
  const more = process.memoryUsage().arrayBuffers - before;
  assert.ok(more < 64 * 1024, `${more} bytes of buffers in 20 looks`);
});

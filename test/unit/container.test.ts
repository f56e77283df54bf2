import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { status } from '../../lib/master/plugins/face.js';
import { containerPlugin } from '../../plugins/container/index.js';
import { running } from '../helpers/fake-core.js';
import { turns } from '../helpers/fake-forker.js';
import { unsuited } from '../helpers/skips.js';

const MB = 2 ** 20;
const skip = process.platform === 'linux' ? false : unsuited.linux;

/** What the kernel shows of a container with control groups of version 2; each write is one of a resize. */
function shown(t: TestContext, files: Record<string, string>): { root: string; write(name: string, text: string): void } {
  const root = mkdtempSync(path.join(os.tmpdir(), 'container-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const write = (name: string, text: string): void => {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), text);
  };
  const kernel = {
    'proc/self/cgroup': '0::/\n',
    'proc/self/mountinfo': '29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n',
    'proc/self/status': 'Name:\tnode\nCpus_allowed_list:\t0-3\n',
  };
  for (const [name, text] of Object.entries({ ...kernel, ...files })) write(name, text);
  return { root, write };
}

test('a container of version 2 that is resized: workers and heaps follow, and status tells', { skip }, async (t) => {
  const { root, write } = shown(t, {
    'sys/fs/cgroup/cpu.max': '200000 100000\n',
    'sys/fs/cgroup/memory.max': `${512 * MB}\n`,
    'sys/fs/cgroup/memory.current': `${180 * MB}\n`,
    'sys/fs/cgroup/memory.stat': `anon 1\ninactive_file ${30 * MB}\n`,
  });
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { core, forks } = await running(t, { workers: 2, memory: 'limit' }, containerPlugin(root));
  core.releases.current.loaded.provenance.workers = { from: 'default', counted: 'auto: a quota of 2 processors' };
  forks.manners.boots = true;
  const looks = async (count: number): Promise<void> => {
    for (let look = 0; look < count; look++) {
      t.mock.timers.tick(500);
      await turns(30);
    }
  };
  const execArgvOf = (pid: number): string[] => forks.all.find((fake) => fake.pid === pid)!.spec.execArgv;
  const flags = () => core.workers.ready().map(({ pid }) => execArgvOf(pid).filter((arg) => arg.includes('heap')).join());
  await looks(2);
  assert.deepEqual(flags(), ['--max-heap-size=110', '--max-heap-size=110']);
  const told = async () => (await status(core)).container;
  assert.deepEqual(await told(), { cpus: 2, memory: { limit: 512 * MB, workingSet: 150 * MB }, heap: 110 * MB });

  write('sys/fs/cgroup/memory.max', `${256 * MB}\n`);
  write('sys/fs/cgroup/cpu.max', '100000 100000\n');
  await looks(6);
  assert.deepEqual(flags(), ['--max-heap-size=70']);
  assert.deepEqual(await told(), { cpus: 1, memory: { limit: 256 * MB, workingSet: 150 * MB }, heap: 70 * MB });

  write('sys/fs/cgroup/memory.max', 'max\n');
  write('sys/fs/cgroup/cpu.max', 'max 100000\n');
  await looks(6);
  assert.deepEqual(flags(), ['', '', '', '']);
  assert.deepEqual(await told(), { cpus: null, memory: null, heap: null });
});

test('memory: off looks at no memory; the number of workers follows all the same', { skip }, async (t) => {
  const { root, write } = shown(t, {
    'sys/fs/cgroup/cpu.max': '200000 100000\n',
    'sys/fs/cgroup/memory.max': `${100 * MB}\n`,
    'sys/fs/cgroup/memory.current': `${99 * MB}\n`,
  });
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { core, forks } = await running(t, { workers: 2, memory: 'off' }, containerPlugin(root));
  core.releases.current.loaded.provenance.workers = { from: 'default', counted: 'auto: a quota of 2 processors' };
  forks.manners.boots = true;
  const lines: string[] = [];
  core.logger.warn = (text) => { lines.push(text); };
  for (let look = 0; look < 5; look++) {
    if (look === 2) write('sys/fs/cgroup/cpu.max', '300000 100000\n');
    t.mock.timers.tick(500);
    await turns(30);
  }
  assert.deepEqual([core.workers.ready().length, forks.all.length, lines], [3, 3, []]);
});

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { eventually } from '../helpers/eventually.js';
import { Sandbox } from './sandbox.js';

test('scale and signals within a range of workers are the fewest; outside it they are refused and name it', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  writeFileSync(path.join(dir, '.clusterrc'), JSON.stringify({ workers: { min: 1, max: 3 } }));
  await sandbox.daemon(dir, ['--workers', '2-4']);
  const fewest = async () => {
    const { workers, adaptive, master } = await sandbox.status([dir]);
    return { count: workers.length, min: adaptive!.min, scaled: adaptive!.scaled, pid: master.pid };
  };
  const { pid, ...first } = await fewest();
  assert.deepEqual(first, { count: 2, min: 2, scaled: false });
  assert.equal((await sandbox.run(['scale', '3', dir])).code, 0);
  assert.deepEqual(await fewest(), { count: 3, min: 3, scaled: true, pid });
  for (const [change, found] of [['9', 9], ['1', 1], ['-2', 1], ['+2', 5]] as const) {
    const { code, stdout, stderr } = await sandbox.run(['scale', change, dir]);
    assert.deepEqual([code, stdout, stderr],
      [2, '', `scale: expected from 2 to 4 workers, the range of \`workers\`, found ${found}\n`]);
  }
  process.kill(pid, 'SIGTTIN');
  await eventually(async () => (await fewest()).count === 4);
  process.kill(pid, 'SIGTTIN');
  await eventually(async () => (await sandbox.run(['logs', dir, '-n', '5'])).stdout.includes('by a signal: scale: expected from 2 to 4'));
  assert.deepEqual(await fewest(), { count: 4, min: 4, scaled: true, pid });
  assert.match((await sandbox.run(['status', dir])).stdout, /^workers follow the load, 4 \(scaled\) to 4: 3 -> 4 .* ago: asked for/m);
  assert.equal((await sandbox.run(['restart', dir])).code, 0);
  assert.deepEqual({ ...await fewest(), pid: 0 }, { count: 2, min: 2, scaled: false, pid: 0 });
});

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test from 'node:test';
import { TimeLimits } from '../../lib/kit/time.js';
import { until } from '../helpers/shared-processes.js';

test('what was not deleted in time is late: in order, none before its time, one that is added meanwhile too', async () => {
  const late: { key: string; at: number }[] = [];
  const began = performance.now();
  const limits = new TimeLimits<string>((key) => {
    late.push({ key, at: performance.now() - began });
    if (key === 'a') limits.add('again', 20);
  });
  limits.add('a', 20);
  limits.add('b', 20);
  limits.add('gone', 20);
  limits.add('long', 60);
  limits.delete('gone', 20);
  await until(() => late.length === 4, 'all are late');
  assert.deepEqual(late.map(({ key }) => key).filter((key) => key !== 'long'), ['a', 'b', 'again']);
  const least: Record<string, number> = { a: 19, b: 19, again: 38, long: 59 };
  for (const { key, at } of late) assert.ok(at >= least[key]!, `${key} after ${at} ms`);
});

test('one is late as well when those before it were deleted, and it came long after them', async () => {
  const late: number[] = [];
  const limits = new TimeLimits<number>((key) => late.push(key));
  for (let key = 0; key < 1_000; key++) {
    limits.add(key, 30);
    limits.delete(key, 30);
  }
  limits.add(-1, 30);
  limits.add(-2, 30.5);
  await until(() => late.length === 2, 'both are late');
});

test('a timer for each length, and none that keeps a process up for what was deleted', () => {
  const program = `
    const { TimeLimits } = await import(${JSON.stringify(new URL('../../lib/kit/time.ts', import.meta.url).href)});
    const real = setTimeout;
    let timers = 0;
    globalThis.setTimeout = (...args) => { timers++; return real(...args); };
    const limits = new TimeLimits(() => {});
    for (let key = 0; key < 1_000; key++) limits.add(key, 60_000 + key % 5);
    for (let key = 0; key < 1_000; key++) limits.delete(key, 60_000 + key % 5);
    for (let key = 0; key < 1_000; key++) {
      limits.add(key, 1_000_000 + key);
      limits.delete(key, 1_000_000 + key);
    }
    console.log(timers);
  `;
  const args = ['--import', 'tsx', '--input-type=module', '-e', program];
  const printed = execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
  assert.equal(printed, '1005\n');
});

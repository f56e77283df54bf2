import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { directory } from '../helpers/config-dir.js';

const load = path.resolve('lib/config/load.ts');
/** Loads twice, the link `current` moved on in between, as a deployment does. */
const script = `
  const { renameSync, symlinkSync } = require('node:fs');
  const { loadConfig } = require(${JSON.stringify(load)});
  (async () => {
    const one = (await loadConfig()).target;
    symlinkSync('releases/2', '../../next');
    renameSync('../../next', '../../current');
    const two = (await loadConfig()).target;
    console.log(JSON.stringify([one.dir, one.realDir, two.dir, two.realDir]));
  })();
`;

function run(t: test.TestContext, shown: (dir: string) => string): { dir: string; dirs: string[] } {
  const dir = directory(t, { 'releases/1/app.js': '', 'releases/2/app.js': '' });
  symlinkSync('releases/1', path.join(dir, 'current'));
  const { stdout, stderr } = spawnSync(process.execPath, ['--import', import.meta.resolve('tsx'), '-e', script],
    { cwd: path.join(dir, 'current'), env: { ...process.env, PWD: shown(dir) }, encoding: 'utf8', timeout: 30_000 });
  assert.ok(stdout, stderr);
  return { dir, dirs: JSON.parse(stdout) as string[] };
}

test('started inside a link, the link is what a reload follows', (t) => {
  const { dir, dirs } = run(t, (dir) => `${dir}/current`);
  assert.deepEqual(dirs, [`${dir}/current`, `${dir}/releases/1`, `${dir}/current`, `${dir}/releases/2`]);
});

test('a $PWD that is not where the process is does not count', (t) => {
  const { dir, dirs } = run(t, () => '/');
  assert.deepEqual(dirs, [1, 1, 1, 1].map((release) => `${dir}/releases/${release}`));
});

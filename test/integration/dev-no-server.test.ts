import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { ownApp } from '../helpers/own-app.js';

/** Has a lock as long as it lives, and takes a while to close. */
const APP = (version: number): string => `
const fs = require('node:fs');
if (fs.existsSync('lock')) throw new Error('locked');
fs.writeFileSync('lock', '');
console.log('version ${version} works');
const work = setInterval(() => {}, 1000);
module.exports = ({ onClose }) => {
  onClose(() => new Promise((resolve) => { setTimeout(resolve, 700); }));
  onClose(() => { clearInterval(work); });
  process.on('exit', () => { fs.unlinkSync('lock'); });
};
`;

test('dev: an app without a server has ended before its successor comes, so that what only one can hold is free', async (t) => {
  const { dir, write } = ownApp(t, { '.clusterrc': { server: false }, 'app.js': APP(1) });
  const cluster = await startCluster(t, dir, { command: 'dev', cwd: dir });
  for (const version of [2, 3]) {
    write('app.js', APP(version));
    await cluster.waitFor(new RegExp(`version ${version} works`));
    await cluster.waitFor(/reloaded in/, 5_000, cluster.output.indexOf(`version ${version} works`));
  }
  assert.doesNotMatch(cluster.output, /locked/);
  assert.equal((await cluster.stop()).code, 0);
  assert.equal(existsSync(path.join(dir, 'lock')), false);
});

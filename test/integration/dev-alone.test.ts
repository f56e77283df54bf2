import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { ownApp } from '../helpers/own-app.js';

/** Who is first looks whether whoever was here before it still is. */
const LOOKS = (as: string) => `
const fs = require('node:fs');
const file = require('node:path').join(__dirname, '${as}.pid');
if (fs.existsSync(file)) {
  const before = Number(fs.readFileSync(file, 'utf8'));
  if (before !== process.pid && fs.existsSync('/proc/' + before)) throw new Error('${as}: ' + before + ' is still here');
}
fs.writeFileSync(file, String(process.pid));
`;

test('no line of the app, nor of a plugin of its own, runs before the old process has ended', { timeout: 60_000 }, async (t) => {
  const source = (version: number) => `${LOOKS('app')}
setInterval(() => {}, 1000);
console.log('runs version ${version}');`;
  const { dir, write } = ownApp(t, {
    // Where requests wait, an old process that takes longer than 0.2 s is not waited for.
    '.clusterrc': { server: false, plugins: { './own.cjs': true } },
    'own.cjs': "module.exports = { name: 'own', apply: (master) => master.inject('worker', `file://${__dirname}/part.cjs`) };",
    'part.cjs': `${LOOKS('part')}module.exports = () => {};`,
    'app.js': source(1),
  });
  const cluster = await startCluster(t, dir, { command: 'dev', cwd: dir });
  await cluster.waitFor(/runs version 1/);
  for (let version = 2; version < 12; version++) {
    write('app.js', source(version));
    await cluster.waitFor(new RegExp(`runs version ${version}\\b`));
    await cluster.waitFor(/reloaded in/, 5_000, cluster.output.indexOf(`runs version ${version}`));
  }
  assert.doesNotMatch(cluster.output, /is still here/);
  assert.equal((await cluster.stop()).code, 0);
});

/** Takes a while to close, in which more may be saved. */
const SLOW = (text: string) => `
console.log('runs ' + [${text}, require('./other.js')].join(' '));
setInterval(() => {}, 1000);
module.exports = ({ onClose }) => { onClose(() => new Promise((resolve) => { setTimeout(resolve, 900); })); };
`;

test('what is saved while the old process ends belongs to that reload', { timeout: 30_000 }, async (t) => {
  const { dir, write } = ownApp(t, { '.clusterrc': { server: false }, 'app.js': SLOW("'one'"), 'other.js': "module.exports = 'one';" });
  const cluster = await startCluster(t, dir, { command: 'dev', cwd: dir });
  await cluster.waitFor(/runs one one/);
  const starts = () => cluster.output.match(/runs/g)?.length;
  for (const [at, word] of ['two', 'three'].entries()) {
    const from = cluster.output.length;
    write('app.js', SLOW(`'${word}'`));
    await cluster.waitFor(/changed: app\.js/, 5_000, from);
    write('other.js', `module.exports = '${word}';`);
    await cluster.waitFor(new RegExp(`runs ${word} ${word}`), 5_000, from);
    await cluster.waitFor(/reloaded in/, 5_000, from);
    assert.equal(starts(), at + 2, cluster.output);
  }
  assert.equal((await cluster.stop()).code, 0);
});

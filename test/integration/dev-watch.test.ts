import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'node:test';
import { startDev } from '../helpers/dev.js';

test('what is a change, and what is none', { timeout: 40_000 }, async (t) => {
  const config = JSON.stringify({ plugins: { 'dev-reload': { ignore: ['data', 'views/*.cache'] } } });
  const dev = await startDev(t, 'dev-app', { edit: (dir) => writeFileSync(path.join(dir, '.clusterrc'), config) });
  const { cluster, dir } = dev;
  const at = (...names: string[]) => path.join(dir, ...names);
  const reloads = (from: number) => cluster.output.slice(from).match(/reloaded in/g)?.length ?? 0;
  dev.write('version.js', 'module.exports = 2;');
  await dev.answer(/version 2/);

  await t.test('an editor\'s atomic save, by its real name alone', async () => {
    const from = dev.mark();
    dev.replace('version.js', 'module.exports = 3;');
    await dev.answer(/version 3/);
    assert.match(cluster.output.slice(from), /changed: version\.js\n/);
  });

  await t.test('vim\'s way: the old file moved away, a new one written, the old one deleted', async () => {
    renameSync(at('version.js'), at('version.js~'));
    dev.write('version.js', 'module.exports = 4;');
    rmSync(at('version.js~'));
    await dev.answer(/version 4/);
  });

  await t.test('a hundred files at once, created, changed and deleted: one reload, or two where the system is slow', async () => {
    mkdirSync(at('many'));
    for (let n = 0; n < 50; n++) dev.write(`many/${n}.js`, '');
    await cluster.waitFor(/changed: many/);
    await cluster.waitFor(() => cluster.processes().length > 2);
    await delay(300);
    const from = dev.mark();
    for (let n = 0; n < 100; n++) dev.write(`many/${n}.js`, `module.exports = ${n};`);
    await cluster.waitFor(/changed: many\/.* and \d+ more/, 5_000, from);
    await cluster.waitFor(/reloaded in/, 5_000, from);
    dev.write('version.js', 'module.exports = 5;');
    await dev.answer(/version 5/);
    assert.ok(reloads(from) <= 3, `${reloads(from)} reloads\n${cluster.output.slice(from)}`);
  });

  await t.test('a new file in a new directory, and its end', async () => {
    mkdirSync(at('lib', 'deep'), { recursive: true });
    dev.write('lib/deep/new.js', 'module.exports = 6;');
    await cluster.waitFor(/changed: lib\/deep\/new\.js/);
    dev.write('version.js', 'module.exports = require("./lib/deep/new.js");');
    await dev.answer(/version 6/);
    await delay(150);
    dev.write('lib/deep/new.js', 'module.exports = 7;');
    await dev.answer(/version 7/);
    rmSync(at('lib'), { recursive: true });
    await dev.answer(/Cannot find module/);
    dev.write('version.js', 'module.exports = 8;');
    await dev.answer(/version 8/);
  });

  await t.test('no change: ignored places, litter, temporary files, a touch of a directory', async () => {
    await delay(200);
    const from = dev.mark();
    for (const name of ['node_modules/x', 'logs', 'run', '.git', 'data', 'views']) mkdirSync(at(name), { recursive: true });
    for (const file of [
      'node_modules/x/index.js', 'logs/a.log', 'run/a.json', '.git/HEAD', 'data/rows.json', 'views/a.cache', 'app.log', 'a.sqlite-wal',
      'app.js~', '.app.js.swp', '4913',
    ]) dev.write(file, 'x');
    dev.write('temporary.js', 'x');
    rmSync(at('temporary.js'));
    await delay(500);
    assert.equal(cluster.output.slice(from), '');
    dev.write('.env', 'A=1');
    await cluster.waitFor(/changed: \.env/, 5_000, from);
  });
});

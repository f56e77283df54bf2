import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'node:test';
import { bin, freePort, node } from '../helpers/cluster.js';
import { copyOf, startDev } from '../helpers/dev.js';

const changes = (text: string) => text.match(/ changed: /g)?.length ?? 0;

for (const name of ['nohup.out', 'dev.json']) {
  test(`its own output in the app's directory is never a change: ${name}`, { timeout: 20_000 }, async (t) => {
    let file = '';
    let fd = 0;
    const dev = await startDev(t, 'dev-app', {
      ready: false,
      edit: (dir) => { fd = openSync(file = path.join(dir, name), 'a'); },
      get stdio(): ('ignore' | number)[] { return ['ignore', fd, fd]; },
    });
    await dev.answer(/version 1/, { deadline: 10_000 });
    await delay(1_500);
    dev.write('version.js', 'module.exports = 2;');
    await dev.answer(/version 2/);
    await delay(1_000);
    assert.equal(changes(readFileSync(file, 'utf8')), 1, readFileSync(file, 'utf8'));
  });
}

test('what tee writes of it there is left out after the third time', { timeout: 30_000 }, async (t) => {
  const dir = copyOf(t, 'dev-app');
  const port = await freePort();
  const line = `"${node}" "${bin}" dev . -p ${port} --log-format json 2>&1 | tee log.json > /dev/null`;
  const shell = spawn('/bin/sh', ['-c', line], { cwd: dir, stdio: 'ignore', detached: true });
  t.after(() => { process.kill(-(shell.pid as number), 'SIGTERM'); });
  const file = path.join(dir, 'log.json');
  writeFileSync(file, '');
  const log = () => readFileSync(file, 'utf8');
  const until = performance.now() + 15_000;
  while (!/started on/.test(log()) && performance.now() < until) await delay(50);
  await delay(4_000);
  const before = log();
  await delay(1_500);
  assert.equal(log(), before, 'it stands still');
  assert.ok(changes(before.replaceAll('"changed: ', ' changed: ')) <= 4, before);
  assert.equal(await fetch(`http://127.0.0.1:${port}/`).then((response) => response.text()), 'version 1\n');
});

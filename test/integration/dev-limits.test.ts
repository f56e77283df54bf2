import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { startDev } from '../helpers/dev.js';
import { unsuited } from '../helpers/skips.js';

/** Milliseconds of processor time that a process has used, its threads' too (a tick is 10 ms). */
const used = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
};

// By the clock it depends on who else wants the machine.
test('5,000 files are watched with less than a second of work', {
  timeout: 60_000, skip: process.platform === 'linux' ? false : unsuited.linux,
}, async (t) => {
  const work = async (files: number) => {
    const dev = await startDev(t, 'dev-app', {
      flags: ['--log-level', 'debug'],
      edit: (dir) => {
        for (let at = 0; at < files / 50; at++) {
          mkdirSync(path.join(dir, `part-${at}`));
          for (let n = 0; n < 50; n++) writeFileSync(path.join(dir, `part-${at}`, `${n}.js`), '');
        }
      },
    });
    const [, found, ms] = await dev.cluster.waitFor(/watching (\d+) files \((\d+)ms\)/, 20_000);
    const took = used(dev.cluster.pid);
    assert.equal(Number(found), files + 4);
    if (files > 0) {
      dev.write('part-99/49.js', '1');
      await dev.cluster.waitFor(/changed: part-99\/49\.js/);
    }
    await dev.cluster.stop();
    t.diagnostic(`${files} files: ${took} ms of work, ${ms} ms by the clock`);
    return took;
  };
  const few = await work(0);
  const many = await work(5_000);
  assert.ok(many - few < 1_000, `${few} and ${many} ms`);
});

test('where the system watches no more files: one line, and the files are looked at instead', { timeout: 30_000 }, async (t) => {
  let limit = '';
  const dev = await startDev(t, 'dev-app', {
    // The real limit is the whole machine's.
    edit: (dir) => writeFileSync(limit = path.join(dir, '..', `${path.basename(dir)}.cjs`), `
      const fs = require('node:fs');
      fs.watch = () => { throw Object.assign(new Error('ENOSPC: System limit for number of file watchers reached'), { code: 'ENOSPC' }); };
    `),
    get execArgv() { return ['--require', limit]; },
  });
  await dev.cluster.waitFor(
    /the system watches no more files \(fs\.inotify\.max_user_watches\): looking at the files twice a second instead/,
  );
  await dev.answer(/version 1/);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  dev.write('version.js', 'module.exports = 22;');
  await dev.answer(/version 22/);
  assert.equal(dev.cluster.output.match(/watches no more files/g)?.length, 1);
});

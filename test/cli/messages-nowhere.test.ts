import assert from 'node:assert/strict';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { freePort } from '../helpers/cluster.js';
import { unsuited } from '../helpers/skips.js';
import { get, Sandbox, until } from './sandbox.js';

const APP = `module.exports = ({ messenger, slot }) => {
  messenger.on('who', () => ({ slot, bytes: Buffer.from('x') }));
  return async (request, response) => {
    const answers = await Promise.all([0, 1].map((slot) => messenger.request({ slot }, 'who')));
    response.end(answers.map(({ slot, bytes }) => slot + bytes.toString()).join());
  };
};`;

test('where no socket can be made the master carries the messages, and one line says so', {
  skip: process.getuid?.() !== 0 && unsuited.root,
}, async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'app.js': APP });
  chmodSync(sandbox.dir, 0o755);
  // A user whose every place is taken by something that is not his.
  const uid = 54_322;
  for (const taken of [`/tmp/hatchery-${uid}`, `/var/tmp/hatchery-${uid}`]) {
    writeFileSync(taken, '');
    t.after(() => rmSync(taken));
  }
  const port = await freePort();
  const master = sandbox.spawn(['start', dir, '-w', '2', '-p', String(port)], {
    env: { HOME: '/proc/1', XDG_RUNTIME_DIR: '/proc/1', TMPDIR: '/proc/1' }, uid,
  });
  await until(() => master.text.includes('started on'));
  for (let i = 0; i < 4; i++) assert.equal(await get(port), '0x,1x');
  assert.equal(master.text.match(/ WARN \d+ \[master\] messages between workers and agent go through the master: .*$/mg)?.length, 1);
  master.kill('SIGTERM');
  assert.equal(await master.ended, 0);
});

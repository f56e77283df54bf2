import assert from 'node:assert/strict';
import { test } from 'node:test';
import { get, Sandbox } from './sandbox.js';

test('scale takes N, +N and -N, waits until it is done, and says what it did', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { port } = await sandbox.daemon(dir);
  for (const [change, from, to] of [['+2', 1, 3], ['-1', 3, 2], ['1', 2, 1], ['-5', 1, 1]] as const) {
    const { code, stdout, stderr } = await sandbox.run(['scale', change, dir]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`app scaled from ${from} to ${to} workers?\\n$`));
    assert.equal((await sandbox.status([dir])).workers.filter(({ state }) => state === 'ready').length, to);
  }
  assert.equal(await get(port), 'BODY');
  const many = await sandbox.run(['scale', '+99999', dir]);
  assert.deepEqual([many.code, many.stderr], [2, 'scale: expected at most 1024 workers, found 100000\n']);
  // Found by where one stands, and by title.
  assert.equal((await sandbox.run(['scale', '2'], { cwd: dir })).code, 0);
  assert.equal((await sandbox.run(['scale', '--title', 'app', '-1'])).code, 0);
  const none = await sandbox.run(['scale', '2', sandbox.app('other')]);
  assert.equal(none.code, 1);
  assert.match(none.stderr, /^no instance is running in /);
});

import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { test } from 'node:test';
import { unsuited } from '../helpers/skips.js';
import { Sandbox } from './sandbox.js';

test('systemd: a user whom the system knows by number alone', {
  skip: process.getuid?.() !== 0 && unsuited.root,
}, async (t) => {
  const sandbox = new Sandbox(t);
  // Another user is to read the app.
  chmodSync(sandbox.dir, 0o755);
  const command = sandbox.spawn(['systemd', sandbox.app()], { uid: 54_323, cwd: '/' });
  assert.equal(await command.ended, 0, command.text);
  assert.match(command.text, /^User=54323$/m);
});

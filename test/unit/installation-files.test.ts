import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import test from 'node:test';
import { root } from '../helpers/cluster.js';
import { unsuited } from '../helpers/skips.js';

const SCRIPT = `
import { closeSync, openSync } from 'node:fs';
import { Installation } from ${JSON.stringify(path.join(root, 'lib/master/installation.ts'))};
const said = [];
const installation = new Installation({ path: '/nowhere' }, { warn: (line) => said.push(line) });
const files = [];
try { for (;;) files.push(openSync('/dev/null')); } catch {}
for (let left = 0; left < 10; left++) closeSync(files.pop());
await installation.hold();
console.log(JSON.stringify(said));
`;

test('what children run is read with a few files open at a time: a master may have hardly any descriptors left',
  { skip: process.platform === 'linux' ? false : unsuited.linux }, () => {
    const text = execFileSync('/bin/sh', [
      '-c', 'ulimit -n 100; exec "$@"', 'sh', process.execPath, '--import', 'tsx', '--input-type=module', '--eval', SCRIPT,
    ], { encoding: 'utf8', cwd: root, timeout: 20_000 });
    assert.deepEqual(JSON.parse(text), []);
  });

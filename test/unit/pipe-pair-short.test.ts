import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import test from 'node:test';
import { root } from '../helpers/cluster.js';
import { unsuited } from '../helpers/skips.js';

/** Of the three descriptors of a pair the last is the one that is accepted: libuv closes that, and tells nobody. */
const SCRIPT = `
import { closeSync, openSync, readdirSync } from 'node:fs';
import { connected as make, pipePair } from ${JSON.stringify(path.join(root, 'lib/node/handle-pipe.ts'))};
import { slowPaths } from ${JSON.stringify(path.join(root, 'lib/node/slow-paths.ts'))};
const connected = async () => make();
const stay = setInterval(() => {}, 100);
const close = ({ ours, theirs }) => [ours, theirs].forEach((end) => end.close());
const open = () => readdirSync('/proc/self/fd').length;
close(await connected());
const before = open();
const files = [];
try { for (;;) files.push(openSync('/dev/null')); } catch {}
const said = [];
for (let left = 0; left <= 3; left++) {
  said.push(await connected().then((pair) => (close(pair), 'a pair'), ({ code }) => code));
  said.push(await pipePair().then((pair) => pair ? (close(pair), 'a pair') : 'none'));
  closeSync(files.pop());
}
for (const file of files) closeSync(file);
const late = performance.now() + 5_000;
while (open() !== before && performance.now() < late) await new Promise((resolve) => setTimeout(resolve, 5));
console.log(JSON.stringify({ said, left: open() - before, slow: slowPaths() }));
clearInterval(stay);
`;

test('a pipe for handles where descriptors are used up: none at once, none is left open, and one as soon as there are three',
  { skip: process.platform === 'linux' ? false : unsuited.linux }, () => {
    const text = execFileSync('/bin/sh', [
      '-c', 'ulimit -n 100; exec "$@"', 'sh', process.execPath, '--import', 'tsx', '--input-type=module', '--eval', SCRIPT,
    ], { encoding: 'utf8', cwd: root, timeout: 20_000 });
    assert.deepEqual(JSON.parse(text), {
      said: ['EMFILE', 'none', 'EMFILE', 'none', 'EMFILE', 'none', 'a pair', 'a pair'], left: 0, slow: [],
    });
  });

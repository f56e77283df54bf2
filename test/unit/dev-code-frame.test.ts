import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { codeFrame, frameText, positionOf } from '../../plugins/dev-reload/code-frame.js';

const dir = '/srv/app';
const stacks: [name: string, error: { message: string; stack: string }, expected: string | null][] = [
  ['the first frame of the app', { message: '', stack: `Error: x\n    at check (${dir}/node_modules/a/index.js:1:2)\n`
    + `    at Object.<anonymous> (${dir}/lib/user.js:12:5)\n    at node:internal/x:1:1` }, `${dir}/lib/user.js:12:5`],
  ['an async frame, as a URL', { message: '', stack: `Error: x\n    at async file://${dir}/app.mjs:3:7` }, `${dir}/app.mjs:3:7`],
  [
    'a path with a space and brackets', { message: '', stack: `Error: x\n    at new Thing (file://${dir}/my%20app/(group)/page.js:4:9)` },
    `${dir}/my app/(group)/page.js:4:9`,
  ],
  ['a syntax error', { message: '', stack: `${dir}/a.js:2\nconst x = ;\n          ^\n\n`
    + `SyntaxError: Unexpected token ';'\n    at wrapSafe (node:internal/modules/cjs/loader:1:2)` }, `${dir}/a.js:2:11`],
  ['nothing but Node', { message: '', stack: 'Error: x\n    at process.emit (node:events:5:6)' }, null],
  [
    'a package only, when nothing else is there', { message: '', stack: 'Error: x\n    at f (/opt/shared/thing.js:5:6)' },
    '/opt/shared/thing.js:5:6',
  ],
];

for (const [name, error, expected] of stacks) {
  test(`position: ${name}`, () => {
    const found = positionOf(error, dir);
    assert.equal(found && `${found.file}:${found.line}:${found.column}`, expected);
  });
}

test('the lines around, with the place marked; tabs keep the caret below it', (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'ht-frame-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'a.js');
  writeFileSync(file, 'one\ntwo\nthree\n\tfour()\nfive\nsix\nseven\neight\n');
  const frame = codeFrame({ file, line: 4, column: 2 });
  assert.ok(frame);
  assert.equal(frameText(frame), '  1 | one\n  2 | two\n  3 | three\n> 4 | \tfour()\n    | \t^\n  5 | five\n  6 | six\n  7 | seven');
  assert.equal(codeFrame({ file, line: 99, column: 1 }), null);
  assert.equal(codeFrame({ file: path.join(folder, 'gone.js'), line: 1, column: 1 }), null);
});

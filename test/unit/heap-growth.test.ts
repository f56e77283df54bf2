import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { node } from '../helpers/cluster.js';
import { readHeap, type Grown } from '../helpers/heap-growth.js';

/** A program between two looks at its heap. */
const PROGRAM = `
const { writeHeapSnapshot } = require('node:v8');
class Kept {}
const registry = { ones: new Map(), names: [] };
globalThis.registry = registry;
const turn = (from, to) => {
  for (let n = from; n < to; n++) {
    new Kept();
    if (process.argv[1] === 'leaks') registry.ones.set(n, new Kept()).size;
    if (process.argv[1] === 'texts') registry.names.push(Buffer.from('the name of number ' + n).toString());
  }
};
turn(0, 100);
writeHeapSnapshot(process.argv[2]);
turn(100, 300);
writeHeapSnapshot(process.argv[3]);
`;

for (const [does, expected] of [
  ['nothing', []],
  ['leaks', [{ what: 'object Kept', more: 200, held: /200 at .*registry \(Object\) > ones \(Map\) > table > \[\] \(Kept\)/ }]],
  ['texts', [{ what: '(string) registry (Object) > names (Array) > []', more: 200, held: /names \(Array\) > \[\]/ }]],
] as const) {
  test(`two heap snapshots name what a program keeps for each time, and where: ${does}`, (t) => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'hg-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const [before = '', after = ''] = ['a', 'b'].map((name) => path.join(dir, `${name}.heapsnapshot`));
    const { status, stderr } = spawnSync(node, ['-e', PROGRAM, does, before, after], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const grown = readHeap(after).grownSince(readHeap(before), 100).filter(({ what }) => !what.startsWith('(array)'));
    const found = (one: Grown, at: number) => {
      assert.match(one.held, expected[at]?.held ?? /nothing/);
      return { ...expected[at], what: one.what, more: one.more };
    };
    assert.deepEqual(grown.filter(({ what }) => /Kept|string/.test(what)).map(found), expected);
  });
}

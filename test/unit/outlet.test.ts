import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Outlet, outletOf } from '../../lib/master/outlet.js';
import { directory } from '../helpers/config-dir.js';
import { unsuited } from '../helpers/skips.js';
import { UnreadPipe } from '../helpers/unread-pipe.js';

const skip = process.platform === 'win32' && unsuited.linux;
const lost = (words: string) => `(${words})\n`;

function outlet(t: { after(fn: () => void): void }) {
  const pipe = new UnreadPipe(t);
  const out = new Outlet(pipe.fd);
  t.after(() => out.close());
  const write = (text: string): number => {
    const began = performance.now();
    out.write(text, lost);
    return performance.now() - began;
  };
  return { pipe, out, write };
}

test('a pipe that is read gets every line', { skip }, (t) => {
  const { pipe, write } = outlet(t);
  for (let i = 0; i < 100; i++) write(`line ${i}\n`);
  assert.equal(pipe.read(), Array.from({ length: 100 }, (_, i) => `line ${i}\n`).join(''));
});

test('full: 50 ms at the first line, nothing at the next; the first that goes again says how many are missing', { skip }, (t) => {
  const { pipe, write } = outlet(t);
  pipe.fill();
  const first = write('one\n');
  assert.ok(first >= 45 && first < 1_000, `${first} ms`);
  let others = 0;
  for (let i = 0; i < 100; i++) others += write('another\nof two\n');
  assert.ok(others < 2_500, `${others} ms, where each would wait for 50`);
  pipe.read();
  write('again\n');
  assert.match(pipe.read(), /^\(201 lines dropped here: nobody read them for 1 s\)\nagain\n$/);
});

test('it says so by itself where no line comes', { skip }, async (t) => {
  const { pipe, write } = outlet(t);
  pipe.fill();
  write('one\n');
  pipe.read();
  await pipe.seen(/^\(1 line dropped here: nobody read them for 1 s\)\n$/);
});

test('a reader who is always late costs 50 ms a second', { skip }, (t) => {
  const { pipe, write } = outlet(t);
  let spent = 0;
  for (const until = performance.now() + 1_000; performance.now() < until;) {
    pipe.fill();
    const took = write('late\n');
    if (took > 1) spent += took;
    pipe.read();
    write('in time\n');
  }
  assert.ok(spent < 300, `${spent} ms`);
});

test('a line that is begun is ended before the next one', { skip }, (t) => {
  const { pipe, write } = outlet(t);
  const long = Array.from({ length: 30_000 }, (_, i) => `${i},`).join('');
  write(`${long}\n`);
  write('dropped\n');
  let text = '';
  for (let i = 0; i < 10; i++) {
    text = pipe.read();
    write('next\n');
  }
  text = pipe.read();
  assert.ok(text.startsWith(`${long}\n(`));
  assert.match(text.slice(long.length), /^\n\(\d+ lines? dropped here: .*\)\nnext\n/);
});

test('nobody has it open any more: nothing is thrown', { skip }, (t) => {
  const pipe = new UnreadPipe(t);
  const out = new Outlet(pipe.fd);
  pipe.leave();
  for (let i = 0; i < 3; i++) out.write('line\n', lost);
  out.close();
});

test('a descriptor that is opened anew is another outlet, closed ones throw nothing', (t) => {
  const dir = directory(t, {});
  const [one, other] = [path.join(dir, 'one'), path.join(dir, 'other')];
  const fd = openSync(one, 'a');
  const before = outletOf(fd);
  before.write('a\n', lost);
  closeSync(fd);
  outletOf(fd).write('nowhere\n', lost);
  const again = openSync(other, 'a');
  t.after(() => closeSync(again));
  assert.equal(again, fd);
  outletOf(again).write('b\n', lost);
  assert.deepEqual([readFileSync(one, 'utf8'), readFileSync(other, 'utf8')], ['a\n', 'b\n']);
});

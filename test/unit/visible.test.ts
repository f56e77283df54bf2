import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { rendered, style } from '../../bin/output.js';
import { table } from '../../bin/table.js';
import { Logger } from '../../lib/kit/logger.js';
import { visible } from '../../lib/kit/misuse.js';

const HOSTILE = '\u001b]0;owned\u0007\u001b[2J\u001b[31mred\r\u009b1A\u202egnp.exe\u007f';
const SHOWN = String.raw`\u001b]0;owned\u0007\u001b[2J\u001b[31mred\u000d\u009b1A\u202egnp.exe\u007f`;

test('control characters are shown; tabs, lines and all other writing stay', () => {
  assert.equal(visible(HOSTILE), SHOWN);
  assert.equal(visible('a\tb\r\nc\n\u00e4\u65e5\ud83d\ude00'), 'a\tb\r\nc\n\u00e4\u65e5\ud83d\ude00');
  assert.equal((JSON.parse(visible(JSON.stringify({ text: HOSTILE }))) as { text: string }).text, HOSTILE);
});

test('what a command prints has its own styles and nobody else\'s', async (t) => {
  const { FORCE_COLOR } = process.env;
  t.after(() => {
    if (FORCE_COLOR === undefined) delete process.env.FORCE_COLOR;
    else process.env.FORCE_COLOR = FORCE_COLOR;
  });
  process.env.FORCE_COLOR = '1';
  assert.equal(rendered(style(HOSTILE, 'red')), `\u001b[31m${SHOWN}\u001b[39m`);
  const lines = rendered(await table(['a', 'b'], [[HOSTILE, style('x', 'green')], ['y'.repeat(SHOWN.length), 'z']])).split('\n');
  assert.equal(lines[1], `${SHOWN}  \u001b[32mx\u001b[39m`);
  assert.equal(lines[2]?.indexOf('z'), SHOWN.length + 2, 'columns are as wide as what is shown');
});

for (const format of ['text', 'json'] as const) {
  test(`a log in ${format} has no control characters, wherever they come from`, (t) => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'ht-'));
    t.after(() => rmSync(dir, { recursive: true }));
    const fd = openSync(path.join(dir, 'log'), 'a');
    const logger = new Logger({ label: 'master', level: 'info', format, output: { write: (line) => void writeSync(fd, line) } });
    logger.error(`failed: ${HOSTILE}`, { field: `${HOSTILE}\n2021-04-07 21:17:57,857 INFO 1 [master] forged`, error: new Error(HOSTILE) });
    closeSync(fd);
    const log = readFileSync(path.join(dir, 'log'), 'utf8');
    const message = format === 'text' ? SHOWN : (JSON.parse(log) as { message: string }).message.slice('failed: '.length);
    assert.ok(format === 'text' ? log.includes(`failed: ${SHOWN}`) : message === HOSTILE);
    assert.ok(!/[^\P{Cc}\n]|\u202e/u.test(log), JSON.stringify(log));
    assert.doesNotMatch(log, /^2021-04-07/m);
  });
}

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';

test('once the master is known to be gone, lines go to the file, though its end of the pipe is still open', async (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'hatchery-past-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = path.join(dir, 'log');
  const output = new URL('../../lib/child/output.ts', import.meta.url).href;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', `
    import { pastMaster, throughMaster, watchOutput } from ${JSON.stringify(output)};
    watchOutput();
    throughMaster({ out: ${JSON.stringify(file)}, err: ${JSON.stringify(file)} });
    console.log('to the master');
    pastMaster();
    console.log('out');
    console.error('err');
    process.on('exit', () => console.log('end'));
  `], { stdio: ['ignore', 'pipe', 'pipe'], timeout: 30_000 });
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  assert.equal(out + err, 'to the master\n');
  assert.equal(readFileSync(file, 'utf8'), 'out\nerr\nend\n');
});

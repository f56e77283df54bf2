import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { promisify } from 'node:util';
import { fixture, freePort, node } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';

const own = fixture('own-framework/bin/own.js');
const run = (...args: string[]) => promisify(execFile)(node, [own, ...args]);

test('a framework with its own bin: another default, a flag and a command more, its own defaults', async (t) => {
  assert.match((await run('who')).stdout, /the own framework/);
  assert.match((await run('start', '--help')).stdout, /Run an app of the own framework[\s\S]*--greeting/);
  await assert.rejects(run('start', '--greting', 'x'), { code: 2, stderr: /did you mean --greeting/ });

  const port = await freePort();
  const child = spawn(node, [own, 'start', fixture('own-framework-app'), '-p', String(port), '--greeting', 'welcome', '--title', `own-${process.pid}`]);
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text; });
  await eventually(() => /started on/.test(output));
  assert.match(output, /^welcome/);
  // The framework's package.json#cluster says 2 workers.
  assert.match(output, /\(2 workers\)/);
  const { json } = await get(`http://127.0.0.1:${port}`);
  assert.equal(json.framework, 'own');
  assert.equal(json.baseDir, fixture('own-framework-app'));
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

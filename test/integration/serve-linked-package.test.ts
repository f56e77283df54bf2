import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';

// The test reads what the cluster prints, so its output is a pipe.
for (const command of ['start', 'dev'] as const) {
  test(`a linked package that is required late has its own path, as under plain node: ${command}`, { timeout: 30_000 }, async (t) => {
    const dir = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'ht-linked-')));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const write = (file: string, text: string): void => {
      mkdirSync(path.dirname(path.join(dir, file)), { recursive: true });
      writeFileSync(path.join(dir, file), text);
    };
    write('packages/part/index.js', 'module.exports = __filename;');
    write('packages/api/server.js', `console.log('a line');
require('node:http').createServer((request, response) => {
  console.error('another');
  response.end(JSON.stringify({ file: require('part') }));
}).listen(process.env.PORT);`);
    mkdirSync(path.join(dir, 'packages/api/node_modules'));
    symlinkSync('../../part', path.join(dir, 'packages/api/node_modules/part'));
    const cluster = await startCluster(t, path.join(dir, 'packages/api'), { command, flags: ['-w', '1'] });
    assert.deepEqual((await get(cluster.url)).json, { file: path.join(dir, 'packages/part/index.js') });
  });
}

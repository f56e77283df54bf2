import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { root, startCluster } from '../helpers/cluster.js';
import { ownApp } from '../helpers/own-app.js';

test('a part in TypeScript runs, on Node 20 by the tsx beside it, and so does the app in JavaScript', async (t) => {
  const { dir } = ownApp(t, {
    'package.json': '{ "name": "typed", "type": "module" }',
    'app.js': 'export default (request, response) => response.end("app");',
    'mine.js': `export default { name: 'mine', apply: (master) => { master.inject('worker', new URL('./part.ts', import.meta.url)); } };`,
    'part.ts': `import type { Runtime } from 'hatchery/runtime';
      export default (runtime: Runtime): void => {
        runtime.hooks.request.tap('mine', (request, response): void => { response.setHeader('x-typed', String(runtime.slot)); });
      };`,
    '.clusterrc': '{ "plugins": { "./mine.js": true } }',
  });
  symlinkSync(path.join(root, 'node_modules'), path.join(dir, 'node_modules'));
  const cluster = await startCluster(t, dir, { flags: ['--workers', '1'] });
  const response = await fetch(`${cluster.url}/`, { headers: { connection: 'close' } });
  assert.deepEqual([response.headers.get('x-typed'), await response.text()], ['0', 'app']);
});

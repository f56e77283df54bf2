import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { startDev } from '../helpers/dev.js';

const SLOW = `const http = require('node:http');
const version = require('./version.js');
setTimeout(() => http.createServer((request, response) => response.end('version ' + version)).listen(process.env.PORT), 800);
`;

test('serveWhileReloading "old": the old code answers until the new one is ready, and goes on when that does not start', { timeout: 30_000 }, async (t) => {
  const dev = await startDev(t, 'dev-app', {
    edit: (dir) => {
      writeFileSync(path.join(dir, '.clusterrc'), JSON.stringify({ plugins: { 'dev-reload': { serveWhileReloading: 'old' } } }));
      writeFileSync(path.join(dir, 'app.js'), SLOW);
    },
  });
  await dev.answer(/version 1/);
  dev.write('version.js', 'module.exports = 2;');
  await dev.cluster.waitFor(/changed: version\.js/);
  const began = performance.now();
  assert.equal(await dev.get(), 'version 1');
  assert.ok(performance.now() - began < 500, 'the old code answers at once');
  await dev.answer(/version 2/);

  let from = dev.mark();
  dev.write('version.js', 'throw new Error("third");');
  await dev.cluster.waitFor(/The app does not start: third/, 5_000, from);
  assert.equal(await dev.get(), 'version 2');
  from = dev.mark();
  dev.write('version.js', 'module.exports = 4;');
  await dev.answer(/version 4/);
});

test('by default a request that comes during a reload waits for the new code', { timeout: 20_000 }, async (t) => {
  const dev = await startDev(t, 'dev-app', { edit: (dir) => writeFileSync(path.join(dir, 'app.js'), SLOW) });
  await dev.answer(/version 1/);
  dev.write('version.js', 'module.exports = 2;');
  await dev.cluster.waitFor(/changed: version\.js/);
  assert.equal(await dev.get(), 'version 2');
});

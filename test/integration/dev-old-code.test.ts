import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { startDev } from '../helpers/dev.js';
import { RawConnection, requestHead } from '../helpers/raw-client.js';

const SLOW = `const http = require('node:http');
const version = require('./version.js');
setTimeout(() => http.createServer((request, response) => response.end('version ' + version)).listen(process.env.PORT), 800);
`;

test('serveWhileReloading "old": the old code answers until the new one is ready, and if it never is', { timeout: 30_000 }, async (t) => {
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

/** `/slow`: the head and half of the body at once, the rest so late that it ends long after a save. */
const HALF = `const http = require('node:http');
const version = require('./version.js');
http.createServer((request, response) => {
  if (request.url !== '/slow') return response.end('version ' + version);
  response.writeHead(200, { 'Content-Length': 8 });
  response.write('half');
  setTimeout(() => response.end('half'), 1_500);
}).listen(process.env.PORT);
`;

test('after a save that does not start nobody gets the old code, whatever connection it comes on', { timeout: 20_000 }, async (t) => {
  const dev = await startDev(t, 'dev-app', { edit: (dir) => writeFileSync(path.join(dir, 'app.js'), HALF) });
  await dev.answer(/version 1/);
  const connections = Array.from({ length: 3 }, () => new RawConnection({ port: dev.cluster.port }));
  t.after(() => { for (const connection of connections) connection.destroy(); });
  const [kept, silent, busy] = connections as [RawConnection, RawConnection, RawConnection];
  const ask = async (connection: RawConnection, url = '/') => {
    const { status, body } = await connection.send(requestHead('GET', url), ['GET'], 5_000)[0]!;
    return `${status} ${body.toString()}`;
  };
  assert.equal(await ask(kept), '200 version 1');
  const slow = ask(busy, '/slow');
  await new Promise((resolve) => busy.socket.once('data', resolve));
  dev.write('version.js', 'throw new Error("does not start");');
  // On a new connection.
  await dev.answer(/does not start/);
  assert.match(await ask(kept), /^500 .*does not start/s);
  assert.match(await ask(silent), /^500 .*does not start/s);
  assert.equal(await slow, '200 halfhalf', 'what was being answered is answered to its end');
  assert.match(await ask(busy), /^500 .*does not start/s);
});

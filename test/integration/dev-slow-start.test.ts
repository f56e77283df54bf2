import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { startDev } from '../helpers/dev.js';

test('a first start that is merely slow: who asks after a while waits for the app', { timeout: 30_000 }, async (t) => {
  const dev = await startDev(t, 'dev-app', { edit: (dir) => writeFileSync(path.join(dir, 'app.js'), `setTimeout(() => {
    require('node:http').createServer((request, response) => response.end('at last')).listen(process.env.PORT);
  }, 7_500);`), ready: false });
  await dev.cluster.waitFor(/not ready after 3 s: its start is slow, or hangs, or it never listens/, 12_000);
  assert.equal(await dev.get(), 'at last');
});

test('nobody asks a server of an app that starts slowly for anything', { timeout: 30_000 }, async (t) => {
  const dev = await startDev(t, 'dev-app', { edit: (dir) => writeFileSync(path.join(dir, 'app.js'), `
    const asked = [];
    const open = () => require('node:net').createServer((socket) => asked.push(socket.remotePort)).listen(0, '127.0.0.1');
    const timer = setInterval(open, 100);
    setTimeout(() => {
      clearInterval(timer);
      require('node:http').createServer((request, response) => response.end('asked ' + asked.length)).listen(process.env.PORT);
    }, 7_000);`), ready: false });
  await dev.cluster.waitFor(/not ready after 3 s/, 12_000);
  assert.equal(await dev.get(), 'asked 0');
});

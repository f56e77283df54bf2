import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { get, Sandbox, until } from './sandbox.js';

test('dev takes the next free port when the port is busy, and says so in one line', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const busy = createServer((_, response) => response.end('BUSY'));
  await new Promise<void>((resolve) => { busy.listen(0, resolve); });
  t.after(() => busy.close());
  const { port } = busy.address() as { port: number };
  const dev = sandbox.spawn(['dev', dir, '-p', String(port)]);
  await until(() => dev.text.includes('app started on'));
  const taken = Number(new RegExp(`^port ${port} is busy, taking (\\d+)$`, 'm').exec(dev.text)?.[1]);
  assert.ok(taken > port && taken < port + 100, dev.text);
  assert.equal(await get(taken), 'BODY');
  assert.equal(await get(port), 'BUSY');
  // It keeps to it when the configuration is read again.
  assert.equal((await sandbox.run(['reload', dir])).code, 0);
  assert.equal(await get(taken), 'BODY');
  assert.equal(dev.text.match(/is busy/g)?.length, 1);
  dev.kill('SIGINT');
  assert.equal(await dev.ended, 0);
});

test('dev: NODE_ENV is development and there is one worker; a start does not move to another port', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', {
    'server.js': 'require("node:http").createServer((_, response) => response.end(process.env.NODE_ENV)).listen(process.env.PORT);',
  });
  const dev = sandbox.spawn(['dev', dir, '-p', '0', '--title', 'dev']);
  await until(() => dev.text.includes('dev started on'));
  const { workers, address } = await sandbox.status([dir]);
  assert.equal(workers.length, 1);
  const port = Number(/:(\d+)$/.exec(address ?? '')?.[1]);
  assert.equal(await get(port), 'development');
  const start = await sandbox.run(['start', dir, '-p', String(port), '-w', '1', '--title', 'start']);
  assert.equal(start.code, 1);
  assert.match(start.stdout + start.stderr, /EADDRINUSE/);
  assert.equal((await sandbox.run(['restart', dir])).stderr,
    `dev (pid ${dev.pid}) runs in a terminal for development: type rs there, or stop it\n`);
});

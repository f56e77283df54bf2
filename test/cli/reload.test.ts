import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { get, Sandbox, SERVER } from './sandbox.js';

test('reload shows a line a worker, serves the new code, and ends with 0', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { port } = await sandbox.daemon(dir, ['-w', '2']);
  writeFileSync(path.join(dir, 'server.js'), SERVER.replace('BODY', 'NEW'));
  const { code, stdout } = await sandbox.run(['reload', dir]);
  assert.equal(code, 0);
  for (const slot of [0, 1]) assert.equal(stdout.match(new RegExp(`^worker#${slot} .*ready`, 'mg'))?.length, 1, stdout);
  assert.match(stdout, /^app reloaded: 2 workers replaced in \d+ ms, generation 2\n$/m);
  assert.equal(await get(port), 'NEW');
  const { lastReload } = await sandbox.status([dir]);
  assert.deepEqual([lastReload?.ok, lastReload?.replaced, lastReload?.reason], [true, 2, 'command']);
});

test('new code that does not come up: its error, 1, the old workers untouched', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { port } = await sandbox.daemon(dir, ['-w', '2']);
  const before = (await sandbox.status([dir])).workers.map(({ pid }) => pid);
  writeFileSync(path.join(dir, 'server.js'), 'throw new RangeError("new and broken");');
  const { code, stderr } = await sandbox.run(['reload', dir]);
  assert.equal(code, 1);
  assert.match(stderr, /RangeError: new and broken/);
  assert.match(stderr, /server\.js:1/);
  assert.equal(await get(port), 'BODY');
  const after = await sandbox.status([dir]);
  assert.deepEqual(after.workers.map(({ pid }) => pid), before);
  assert.equal(after.lastReload?.ok, false);
});

test('a configuration that became wrong aborts the reload with 1', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { port } = await sandbox.daemon(dir);
  writeFileSync(path.join(dir, '.clusterrc'), '{"workres": 1}');
  const { code, stderr } = await sandbox.run(['reload', dir]);
  assert.equal(code, 1);
  assert.match(stderr, /workres.*workers/);
  assert.equal(await get(port), 'BODY');
});

test('--no-agent leaves the agent, without it the agent is replaced', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': SERVER, 'agent.js': 'module.exports = () => {};' });
  await sandbox.daemon(dir);
  const agent = async () => (await sandbox.status([dir])).agent?.pid;
  const first = await agent();
  assert.ok(first);
  assert.equal((await sandbox.run(['reload', dir, '--no-agent'])).code, 0);
  assert.equal(await agent(), first);
  assert.equal((await sandbox.run(['reload', dir])).code, 0);
  assert.notEqual(await agent(), first);
});

test('a second reload is refused by name, or waits with --queue; 1 where nothing runs', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': `setTimeout(() => { ${SERVER} }, 700);` });
  await sandbox.daemon(dir);
  const [first, refused, queued] = await Promise.all([
    sandbox.run(['reload', dir]),
    new Promise((resolve) => setTimeout(resolve, 400)).then(() => sandbox.run(['reload', dir])),
    new Promise((resolve) => setTimeout(resolve, 400)).then(() => sandbox.run(['reload', dir, '--queue'])),
  ]);
  assert.deepEqual([first.code, refused.code, queued.code], [0, 1, 0]);
  assert.equal(refused.stderr, 'reload refused: a reload is under way\n');
  assert.equal((await sandbox.status([dir])).workers[0]?.generation, 3);
  assert.equal((await sandbox.run(['reload', sandbox.app('other')])).code, 1);
});

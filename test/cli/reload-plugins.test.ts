import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { get, Sandbox, until } from './sandbox.js';

const WRONG: [plugins: unknown, says: RegExp][] = [
  [{ 'health-check': { maxRequest: 1 } }, /plugins\.health-check\.maxRequest: unknown option, did you mean "maxRequests"/],
  [{ 'health-check': { cron: 'nonsense' } }, /plugins\.health-check\.cron: expected a cron expression/],
  [{ 'graceful-exit': { timeout: 'long' } }, /plugins\.graceful-exit\.timeout: expected whole milliseconds/],
  [{ metrics: { prot: 1 } }, /plugins\.metrics\.prot: unknown option, did you mean "port"/],
  [{ 'healthcheck': true }, /plugins\.healthcheck: .*did you mean "health-check"/],
  [{ './mine.cjs': { size: 'big' } }, /size: must be a number/],
  [{ './mine.cjs': { size: 1 }, './twin.cjs': true }, /twin\.cjs"\]: a second plugin with the name "mine", which .*mine\.cjs"\] has/],
  [{ './like.cjs': true }, /like\.cjs"\]: a plugin of one's own cannot have the name of the built-in plugin "metrics"/],
];

test('a wrong option of a plugin is refused by a reload before anything is touched', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { port } = await sandbox.daemon(dir);
  writeFileSync(path.join(dir, 'mine.cjs'), `module.exports = { name: 'mine', apply() {}, schema: { '~standard': {
    version: 1, vendor: 'own', validate: (value) => typeof value.size === 'number'
      ? { value } : { issues: [{ path: ['size'], message: 'must be a number' }] } } } };`);
  writeFileSync(path.join(dir, 'twin.cjs'), "module.exports = { name: 'mine', apply() {} };");
  writeFileSync(path.join(dir, 'like.cjs'), "module.exports = { name: 'metrics', apply() {} };");
  const pid = (await sandbox.status([dir])).workers[0]?.pid;
  for (const [plugins, says] of WRONG) {
    writeFileSync(path.join(dir, '.clusterrc'), JSON.stringify({ plugins }));
    const { code, stderr, stdout } = await sandbox.run(['reload', dir]);
    assert.equal(code, 1);
    assert.match(stderr, says);
    assert.match(stderr, /^[^\n]+\n$/, 'one line');
    assert.doesNotMatch(stdout, /reloading/);
  }
  assert.equal((await sandbox.status([dir])).workers[0]?.pid, pid);
  assert.equal(await get(port), 'BODY');
});

test('what a reload cannot apply is named, a line each, until a restart has done it', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  writeFileSync(path.join(dir, '.clusterrc'), '{"plugins": {"health-check": {"maxRequests": 5}}}');
  const { log } = await sandbox.daemon(dir, ['--title', 'fixed']);
  writeFileSync(path.join(dir, '.clusterrc'), JSON.stringify({
    title: 'hidden by the flag', balance: 'os', plugins: { 'health-check': { maxRequests: 9, jitter: 0 }, 'metrics': true },
  }));
  for (let time = 0; time < 2; time++) {
    const { code, stdout } = await sandbox.run(['reload', dir]);
    assert.equal(code, 0);
    assert.deepEqual(stdout.match(/.*takes effect at a restart.*/g), [
      'balance: takes effect at a restart',
      'plugins.health-check.maxRequests: takes effect at a restart',
      'plugins.health-check.jitter: takes effect at a restart',
      'plugins.metrics: takes effect at a restart',
    ]);
  }
  assert.match(readFileSync(log, 'utf8'), /INFO .*plugins\.metrics: takes effect at a restart/);
  assert.equal((await sandbox.run(['restart', dir])).code, 0);
  assert.doesNotMatch((await sandbox.run(['reload', dir])).stdout, /restart/);
});

test('workers of the file are scale\'s matter, and said so; the title stays the one that finds the instance', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const file = path.join(dir, '.clusterrc');
  writeFileSync(file, '{"port": 0, "workers": 1}');
  assert.equal((await sandbox.run(['start', dir, '-d'])).code, 0);
  writeFileSync(file, '{"port": 0, "workers": 2, "title": "another"}');
  const { stdout } = await sandbox.run(['reload', dir]);
  assert.match(stdout, /^title: takes effect at a restart$/m);
  assert.match(stdout, /^workers: takes effect at a restart; "scale 2" does it now$/m);
  const { title, workers } = await sandbox.status(['--title', 'app']);
  assert.deepEqual([title, workers.length], ['app', 1]);
  assert.equal((await sandbox.run(['scale', '2', dir])).code, 0);
  assert.doesNotMatch((await sandbox.run(['reload', dir])).stdout, /workers: takes/);
});

test('log.level and log.format are applied', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { log, pid } = await sandbox.daemon(dir);
  writeFileSync(path.join(dir, '.clusterrc'), '{"log": {"format": "json", "level": "warn"}}');
  const { stdout } = await sandbox.run(['reload', dir]);
  assert.doesNotMatch(stdout, /takes effect/);
  writeFileSync(path.join(dir, '.clusterrc'), '{"nonsense": true}');
  process.kill(pid, 'SIGHUP');
  await until(() => readFileSync(log, 'utf8').includes('nonsense'));
  const [last = ''] = readFileSync(log, 'utf8').trim().split('\n').slice(-1);
  assert.equal((JSON.parse(last) as { level: string }).level, 'ERROR');
});

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { bin, node } from '../helpers/cluster.js';
import { Sandbox, SERVER } from './sandbox.js';

interface Told { ok: boolean; machine: string; findings: { name: string; level: string; text: string; fix?: string }[] }

test('doctor of an app in which nothing is wrong: good lines, exit 0, and what an issue wants to know first', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { code, stdout, stderr } = await sandbox.run(['doctor', dir, '-p', '0']);
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /^hatchery \d+\.\d+\.\d+, node v\d+\S+, \w+ .* app app in /);
  assert.match(stdout, /^good {2}configuration +valid/m);
  assert.match(stdout, /\nnothing would bite, \d+ to note\n$/);
});

test('doctor names what is wrong, each with its fix, and ends with 1', async (t) => {
  const sandbox = new Sandbox(t);
  const busy = createServer().listen(0);
  t.after(() => busy.close());
  const { port } = busy.address() as AddressInfo;
  const dir = sandbox.app('app', {
    'server.js': SERVER,
    'package.json': JSON.stringify({ name: 'web', version: '3.2.1', engines: { node: '>=90' } }),
    '.clusterrc': JSON.stringify({ port, workers: 64, args: ['--token=hunter2'] }),
    'compose.yml': 'services:\n  web:\n    stop_grace_period: 12s\n',
  });
  chmodSync(path.join(dir, '.clusterrc'), 0o666);
  const records = path.join(sandbox.dir, 'run', '.hatchery');
  mkdirSync(records, { mode: 0o700 });
  writeFileSync(path.join(records, '0123456789abcdef.json'), '{ half');
  const asked = ['-c', `ulimit -n 256 && exec ${node} ${bin} doctor ${dir} --json`];
  const inShell = 'require("node:child_process").spawn("sh", process.argv.slice(1), { stdio: "inherit" })';
  const child = sandbox.spawnNode(['-e', inShell, '--', ...asked]);
  await child.ended;
  const { ok, findings } = JSON.parse(child.text) as Told;
  assert.equal(ok, false);
  const wrong = findings.filter(({ level }) => level !== 'good');
  for (const says of [
    /web wants node >=90/, new RegExp(`port ${port} is taken`), /Docker Compose kills after 12 s \(compose\.yml\), a stop may take 30 s/,
    /may have 256 descriptors/, /64 workers on/, /everybody may write .*\.clusterrc/, /0123456789abcdef\.json is no record/,
  ]) assert.ok(wrong.some(({ text, fix }) => says.test(text) && fix), `${says}\n${child.text}`);
  assert.doesNotMatch(child.text, /hunter2/);
  const { code, stdout } = await sandbox.run(['doctor', dir]);
  assert.equal(code, 1);
  assert.match(stdout, /^bites +node +web wants node >=90.*\n {9}-> use a Node that fits$/m);
});

test('doctor of a running instance under Kubernetes: keep-alive as an answer says it, readiness, its own port', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app();
  const { port, pid } = await sandbox.daemon(dir);
  const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1' };
  const { code, stdout } = await sandbox.run(['doctor', dir, '-p', String(port), '--grace', '20'], { env });
  assert.equal(code, 1);
  for (const says of [
    new RegExp(`^good +address +port ${port} is this instance's own$`, 'm'),
    new RegExp(`^good +instance +app \\(pid ${pid}\\) is running$`, 'm'),
    /^bites +keep-alive +keepAliveTimeout is 5 s/m, /^bites +readiness +shutdownDelay is 0 under Kubernetes/m,
    /^bites +grace +Kubernetes kills after 20 s \(--grace\)/m,
  ]) assert.match(stdout, says);
});

test('doctor of an app whose configuration is wrong: the mistake is a line, the machine is looked at all the same', async (t) => {
  const sandbox = new Sandbox(t);
  const dir = sandbox.app('app', { 'server.js': SERVER, '.clusterrc': '{ "prot": 1 }' });
  const { code, stdout } = await sandbox.run(['doctor', dir]);
  assert.equal(code, 1);
  assert.match(stdout, /^bites +configuration +\.clusterrc: prot: unknown key.*"port"/m);
  assert.match(stdout, /^good +clock/m);
});

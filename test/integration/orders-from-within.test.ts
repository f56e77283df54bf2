import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import type { Status } from '../../lib/api/control.js';
import { bin, node, run, startCluster, type Scope, type TestCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { unsuited } from '../helpers/skips.js';
import { withConfig } from '../helpers/with-config.js';

const skip = process.platform !== 'linux' && unsuited.linux;
const quick = { 'graceful-exit': { timeout: 1_000, agentTimeout: 500 } };

const start = (t: Scope, config: object = {}) => startCluster(t, 'leaves', {
  flags: ['--config', withConfig(t, { workers: 1, agent: false, plugins: quick, ...config })],
});

/** Has a worker run a shell line, where FRAMEWORK is ours, and what `said` tells is in a file. */
async function order(cluster: TestCluster, line: string): Promise<{ said: () => string }> {
  const file = path.join(cluster.tmp, 'said.txt');
  const command = `"${node}" "${bin}"`;
  const of = (name: string): string => `${command} ${name} "${cluster.target}" --title ${cluster.title}`;
  const words = line.replaceAll(/\[(\w+)\]/g, (_, name: string) => of(name));
  await get(`${cluster.url}/order?line=${encodeURIComponent(`(${words}) > "${file}" 2>&1`)}`);
  return { said: () => existsSync(file) ? readFileSync(file, 'utf8') : '' };
}

const statusOf = async (cluster: TestCluster): Promise<Status | null> => {
  const { code, stdout } = await run(['status', '--json', cluster.target, '--title', cluster.title!], { env: cluster.env });
  return code === 0 ? JSON.parse(stdout) as Status : null;
};

test('a reload that a worker asks for in a script ends that worker, and the script goes on', { skip }, async (t) => {
  const cluster = await start(t);
  const { said } = await order(cluster, 'sleep 0.2; [reload]; echo "code $?"; sleep 1; echo done');
  await cluster.waitFor(() => said().includes('done'), 8_000);
  assert.match(said(), /reloaded: 1 worker replaced[^]*code 0\ndone/);
  assert.doesNotMatch(cluster.output, /has left/);
});

test('what such a script leaves behind is ended once the script is', { skip }, async (t) => {
  const cluster = await start(t);
  const { said } = await order(cluster, 'sleep 7653 & [reload]; echo done');
  await cluster.waitFor(() => said().includes('done'), 8_000);
  await cluster.run('reload');
  await cluster.waitFor(/has left a process.*sleep 7653/);
});

test('a restart that a worker asks for: it comes up again, and bears no mark of that worker', { skip }, async (t) => {
  const cluster = await start(t);
  const { said } = await order(cluster, '[restart]; echo "code $?"');
  await cluster.waitFor(() => said().includes('code'), 15_000);
  assert.match(said(), /stopped[^]*started on[^]*code 0/);
  const status = await statusOf(cluster);
  assert.ok(status && status.master.pid !== cluster.pid);
  const environment = (pid: number): string => readFileSync(`/proc/${pid}/environ`, 'latin1');
  assert.doesNotMatch(environment(status.master.pid), /HATCHERY_CHILD/);
  assert.doesNotMatch(environment(status.master.pid), /HATCHERY_RESTART/);
  const other = await run(['stop', cluster.target, '--title', cluster.title!], { env: cluster.env });
  assert.equal(other.code, 0, other.stderr);
});

test('a restart comes to its end when the command is killed in the middle, with its shell', { skip }, async (t) => {
  const cluster = await start(t);
  get(`${cluster.url}/wait`).catch(() => {});
  const { said } = await order(cluster, 'echo "shell $$"; [restart]; echo never');
  await cluster.waitFor(/closing \(stop\)/);
  const commands = cluster.processes().filter(({ command }) => / restart /.test(command));
  const shell = /shell (\d+)/.exec(said())?.[1];
  const sessionOf = (pid: number): string => readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ')[3]!;
  const front = commands.filter(({ pid }) => sessionOf(pid) !== String(pid));
  // The shell's own line names the command as well.
  for (const pid of new Set([Number(shell), ...front.map((one) => one.pid)])) process.kill(pid, 'SIGKILL');
  await cluster.waitFor(() => cluster.exited);
  await cluster.waitFor(() => said().includes('started on'), 15_000);
  assert.doesNotMatch(said(), /never/);
  assert.equal((await run(['stop', cluster.target, '--title', cluster.title!], { env: cluster.env })).code, 0);
});

test('a stop that a worker asks for: the script says what became of it, also where the worker is killed', { skip }, async (t) => {
  const cluster = await start(t);
  const { said } = await order(cluster, '[stop]; echo "code $?"');
  get(`${cluster.url}/wait`).catch(() => {});
  await cluster.ended();
  await cluster.waitFor(() => said().includes('code'));
  assert.match(said(), /stopped[^]*code 0/);
});

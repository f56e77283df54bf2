import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { freePort } from '../helpers/cluster.js';
import { EggProgram } from '../helpers/egg-program.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';

/** What fixtures/egg-start answers. */
interface AppAnswer {
  options: Record<string, unknown>;
  told: Record<string, unknown>;
  agents: number[];
  env: string;
}

test('startCluster of hatchery/egg: all options reach the app, Egg\'s messages have its data, the callback is called', async (t) => {
  const port = await freePort();
  const given = { port: String(port), workers: 2, title: 'shop', custom: { a: [1] }, env: 'pre' };
  const program = new EggProgram(t, given, { env: { HOST: 'shop.test' } });
  const { data } = await program.told('egg-ready');
  assert.deepEqual(data, { port, address: `http://shop.test:${port}`, protocol: 'http' });
  await eventually(() => program.stdout.includes('CALLED BACK'));
  assert.match(program.stdout, new RegExp(`\\[master\\] egg started on http://shop\\.test:${port} \\(\\d+ms\\)`));
  assert.deepEqual((await program.told('agent-told')).data, { custom: { a: [1] } });

  const { options, told, agents, env } = (await get(`http://127.0.0.1:${port}`)).json as unknown as AppAnswer;
  assert.equal(env, 'pre');
  assert.deepEqual(options.custom, { a: [1] });
  for (const [name, value] of Object.entries({ port, workers: 2, title: 'shop', env: 'pre', startMode: 'process' })) {
    assert.equal(options[name], value, name);
    assert.equal(told[name], value, `${name} of egg-ready`);
  }
  assert.equal(told.clusterPort, options.clusterPort);
  assert.equal(agents.length, 1);
  assert.equal(await program.stop(), 0);
});

test('pidFile, a port for each worker, and plain HTTP on a port of its own', async (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'ht-pid-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const pidFile = path.join(dir, 'run/pid');
  const [one, two, debugPort] = [await freePort(), await freePort(), await freePort()];
  const program = new EggProgram(t, { workers: 2, ports: [one, two], pidFile });
  await program.told('egg-ready');
  assert.equal(readFileSync(pidFile, 'utf8'), String(program.child.pid));
  assert.equal((await get(`http://127.0.0.1:${one}`)).json.slot, '0');
  assert.equal((await get(`http://127.0.0.1:${two}`)).json.slot, '1');
  assert.equal(await program.stop(), 0);
  assert.equal(existsSync(pidFile), false);

  const port = await freePort();
  const second = new EggProgram(t, { port, debugPort });
  assert.deepEqual((await second.told('egg-ready')).data, { port, debugPort, address: `http://127.0.0.1:${port}`, protocol: 'http' });
  assert.equal((await get(`http://127.0.0.1:${debugPort}`)).status, 200);
  assert.equal(await second.stop(), 0);
});

test('in env local a worker that died stays dead, as with egg-cluster, until somebody asks for a reload', async (t) => {
  const port = await freePort();
  const program = new EggProgram(t, { port }, { env: { EGG_SERVER_ENV: 'local', NODE_ENV: 'development' } });
  await program.told('egg-ready');
  await get(`http://127.0.0.1:${port}/kill`).catch(() => {});
  await eventually(() => program.stderr.includes('don\'t fork new work'));
  await program.told('app-worker-died');
  assert.match(program.stdout, /app_worker#1:\d+ disconnect/);
  await assert.rejects(get(`http://127.0.0.1:${port}`, { deadline: 500 }));
  program.child.send({ action: 'reload-worker', to: 'master' });
  await eventually(async () => (await get(`http://127.0.0.1:${port}`)).status === 200, 40_000);
  assert.equal(await program.stop(), 0);
});

test('an exception that nobody catches, which Egg itself answers by closing, is a death: another worker comes at once', async (t) => {
  const port = await freePort();
  const program = new EggProgram(t, { port });
  await program.told('egg-ready');
  assert.equal((await get(`http://127.0.0.1:${port}/throw`)).text, 'soon');
  await eventually(() => /app_worker#2:\d+ started at/.test(program.stdout), 40_000);
  assert.match(program.stdout, /app_worker#1:\d+ \(slot 0\) leaves \(uncaught\)/);
  assert.equal((await get(`http://127.0.0.1:${port}`)).status, 200);
  assert.equal(await program.stop(), 0);
});

test('options that are wrong, and a start that fails, end the program with 1', async (t) => {
  const wrong = new EggProgram(t, { startMode: 'worker_threads' });
  assert.equal(await wrong.exit, 1);
  assert.match(wrong.stderr, /startMode: "worker_threads" is not offered/);
  const nowhere = new EggProgram(t, { framework: 'no-such-framework' });
  assert.equal(await nowhere.exit, 1);
  assert.match(nowhere.stderr, /the framework no-such-framework is not found from .*: is it installed\?/);
  const port = await freePort();
  const first = new EggProgram(t, { port });
  await first.told('egg-ready');
  const second = new EggProgram(t, { port });
  assert.equal(await second.exit, 1);
  assert.match(second.stderr, /\[app_worker\] server got error: bind EADDRINUSE null:/);
  assert.match(second.stderr, /app_worker#1:\d+ start fail, exiting with code:1/);
  assert.equal(second.messages.some(({ action }) => action === 'app-worker-died'), false, 'nothing ran that could die');
  assert.equal(await first.stop(), 0);
});

test('the debugger of each process is where Egg\'s tools look for it', async (t) => {
  const [port, base, agentPort] = [await freePort(), await freePort(), await freePort()];
  const program = new EggProgram(t, { port }, { execArgv: [`--inspect=${base}`], env: { EGG_AGENT_DEBUG_PORT: String(agentPort) } });
  await program.told('egg-ready');
  const told = program.messages.filter(({ action }) => action === 'debug')
    .map(({ from, data }) => [from, (data as { debugPort: number }).debugPort]);
  assert.deepEqual(told, [['agent', agentPort], ['app', base + 1]]);
  assert.match(program.stderr, new RegExp(`Debugger listening on ws://127\\.0\\.0\\.1:${agentPort}/`));
  assert.match(program.stderr, new RegExp(`Debugger listening on ws://127\\.0\\.0\\.1:${base + 1}/`));
  assert.equal(await program.stop(), 0);
});

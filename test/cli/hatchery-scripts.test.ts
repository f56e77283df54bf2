import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { fixture, freePort, node, root } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';

interface Result { code: number; stdout: string; stderr: string }

/** Runs the second bin as a user of egg-scripts does, with a home of its own. */
function scripts(t: test.TestContext): { home: string; env: NodeJS.ProcessEnv; run(...words: string[]): Promise<Result> } {
  const home = mkdtempSync(path.join(os.tmpdir(), 'ht-scripts-'));
  const env = { ...process.env, HOME: home, TMPDIR: home, XDG_RUNTIME_DIR: home, NODE_ENV: undefined };
  const run = (...words: string[]) => new Promise<Result>((resolve) => {
    execFile(node, [path.join(root, 'dist/bin/hatchery-scripts.js'), ...words], { env, timeout: 90_000 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr }));
  });
  t.after(async () => {
    await run('stop', fixture('egg-start'), '--timeout=10s');
    rmSync(home, { recursive: true, force: true });
  });
  return { home, env, run };
}

test('hatchery-scripts start --daemon, and stop: its logs are where egg-scripts has them', async (t) => {
  const { home, run } = scripts(t);
  const port = await freePort();
  mkdirSync(path.join(home, 'logs'));
  writeFileSync(path.join(home, 'logs/master-stdout.log'), 'of the start before');
  const words = ['--daemon', '--title=shop', `--port=${port}`, '--workers=1', '--env=pre', '--custom=7'];
  const started = await run('start', ...words, fixture('egg-start'));
  assert.equal(started.code, 0, started.stdout + started.stderr);
  assert.match(started.stdout, /\[hatchery-scripts\] Starting egg application at .*egg-start/);
  assert.match(started.stdout, new RegExp(`\\[hatchery-scripts\\] egg started on http://127\\.0\\.0\\.1:${port}`));
  const { env, options } = (await get(`http://127.0.0.1:${port}`)).json as { env: string; options: Record<string, unknown> };
  assert.equal(env, 'pre');
  assert.equal(options.custom, 7, 'what is no flag reaches the app');
  assert.match(readFileSync(path.join(home, 'logs/master-stdout.log'), 'utf8'), /\[master\] egg started on/);
  assert.ok(readdirSync(path.join(home, 'logs')).some((name) => /^master-stdout\.log\.\d{8}\.\d{6}$/.test(name)));

  const pid = /\(pid (\d+)/.exec(started.stdout)?.[1] ?? '';
  if (process.platform === 'linux') {
    const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    assert.match(line, /start-cluster=\{.*"baseDir":".*egg-start".*"title":"shop"/);
  }

  const other = await run('stop', '--title=sho');
  assert.deepEqual([other.code, /can't detect any running egg process/.test(other.stderr)], [0, true]);
  const stopped = await run('stop', '--title=shop');
  assert.equal(stopped.code, 0);
  assert.match(stopped.stdout, /got master pid \["\d+"\]/);
  await assert.rejects(get(`http://127.0.0.1:${port}`));
  const log = readFileSync(path.join(home, 'logs/master-stdout.log'), 'utf8');
  for (const line of ['master] master is killed by signal SIGTERM, closing', 'master] exit with code:0', 'app_worker] exit with code:0']) {
    assert.ok(log.includes(`[${line}`), line);
  }
});

test('a flag that is nearly one, and a Node that is not there, start nothing', async (t) => {
  const { run } = scripts(t);
  const typo = await run('start', '--worker=2', fixture('egg-start'));
  assert.deepEqual([typo.code, typo.stderr], [2, '--worker: unknown flag, did you mean "--workers"?\n']);
  for (const [flag, what] of [
    ['--port=abc', 'a whole number from 0 to 65535'], ['--workers=x', 'a whole number from 1 to 1024'], ['--timeout=soon', 'milliseconds'],
  ] as const) {
    const { code, stderr } = await run('start', flag, fixture('egg-start'));
    assert.deepEqual([code, stderr], [2, `${flag.split('=')[0]}: expected ${what}, found "${flag.split('=')[1]}"\n`]);
  }
  const noNode = await run('start', '--node=no-such-node', fixture('egg-start'));
  assert.equal(noNode.code, 1);
  assert.match(noNode.stderr, /spawn no-such-node ENOENT/);
});

for (const flags of [[], [`--node=${node}`]]) {
  test(`start ${flags.map(() => '--node ').join('')}in the foreground: ps shows its options, and killed it leaves nothing`, async (t) => {
    const { env } = scripts(t);
    const port = await freePort();
    const words = ['start', `--port=${port}`, '--workers=1', ...flags, fixture('egg-start')];
    const child = spawn(node, [path.join(root, 'dist/bin/hatchery-scripts.js'), ...words], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    t.after(() => child.kill('SIGKILL'));
    let told = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { told += text; });
    await eventually(() => /\[master\] egg started on/.test(told), 60_000);
    const master = Number(/INFO (\d+) \[master\]/.exec(told)?.[1]);
    if (process.platform === 'linux') {
      assert.match(readFileSync(`/proc/${master}/cmdline`, 'utf8').replaceAll('\0', ' '), /start-cluster=\{.*"baseDir":".*egg-start"/);
    }
    assert.equal((await get(`http://127.0.0.1:${port}`)).status, 200);
    // All that has its output has ended then.
    const ended = once(child, 'close', { signal: AbortSignal.timeout(25_000) });
    child.kill('SIGKILL');
    await ended;
    await assert.rejects(get(`http://127.0.0.1:${port}`));
  });
}

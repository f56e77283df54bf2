import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { bin, freePort, node } from '../helpers/cluster.js';
import { copyOf, startDev } from '../helpers/dev.js';
import { RawConnection, requestHead } from '../helpers/raw-client.js';
import { unsuited } from '../helpers/skips.js';

test('rs and Enter reload, as does the message reload-worker', { timeout: 20_000 }, async (t) => {
  const dev = await startDev(t, 'dev-app', { stdio: ['pipe', 'pipe', 'pipe', 'ipc'] });
  const { cluster } = dev;
  let from = dev.mark();
  cluster.process.stdin?.write('rs\n');
  await cluster.waitFor(/\] rs\n[^]*reloaded in \d+ms/, 5_000, from);
  from = dev.mark();
  cluster.process.stdin?.write('something else\n');
  cluster.process.send?.({ action: 'reload-worker', to: 'master' });
  await cluster.waitFor(/\] reload-worker\n[^]*reloaded in \d+ms/, 5_000, from);
  // The end of the input is no reason to end.
  cluster.process.stdin?.end();
  dev.write('version.js', 'module.exports = 5;');
  await dev.answer(/version 5/);
});

test('Ctrl-C ends at once, whatever is open and in flight', { timeout: 20_000 }, async (t) => {
  const dev = await startDev(t);
  const { cluster } = dev;
  dev.write('app.js', `require('node:http').createServer((request, response) => {
    if (request.url === '/idle') response.end('idle');
    else if (request.url === '/events') { response.setHeader('Content-Type', 'text/event-stream'); response.write('data: 1\\n\\n'); }
  }).listen(process.env.PORT);`);
  const idle = new RawConnection({ port: cluster.port });
  t.after(() => idle.destroy());
  await dev.answer(/idle/, { url: '/idle' });
  await Promise.all(idle.send(requestHead('GET', '/idle'), ['GET'], 5_000));
  const hanging = new RawConnection({ port: cluster.port });
  const cut = assert.rejects(Promise.all(hanging.send(requestHead('GET', '/slow'), ['GET'], 10_000)));
  await new Promise((resolve) => setTimeout(resolve, 100));
  const began = performance.now();
  cluster.signal('SIGINT');
  const { code, at } = await cluster.ended(5_000);
  await cut;
  assert.equal(code, 0);
  t.diagnostic(`${Math.round(at - began)} ms`);
  assert.ok(at - began < 1_500, `${at - began} ms`);
  await cluster.assertNothingLeft();
});

test('a busy port: the next free one, in a line', { timeout: 20_000 }, async (t) => {
  const port = await freePort();
  const other = createServer().listen(port);
  t.after(() => other.close());
  await new Promise((resolve) => other.once('listening', resolve));
  const dev = await startDev(t, 'dev-app', { port });
  const [, taken] = await dev.cluster.waitFor(new RegExp(`port ${port} is busy, taking (\\d+)`));
  Object.assign(dev.cluster, { port: Number(taken) });
  await dev.answer(/version 1/);
  dev.write('version.js', 'module.exports = 2;');
  await dev.answer(/version 2/);
  assert.equal(dev.cluster.output.match(/is busy/g)?.length, 1);
});

const script = '/usr/bin/script';

test('at a terminal: the address, what changed and how long it took, without the log\'s lines', {
  timeout: 20_000, skip: process.platform !== 'linux' && unsuited.linux,
}, async (t) => {
  const dir = copyOf(t, 'dev-app');
  const port = await freePort();
  const env = { ...process.env, TERM: 'xterm', NODE_ENV: '', NO_COLOR: undefined };
  const terminal = spawn(script, ['-qec', `${node} ${bin} dev ${dir} --port ${port}`, '/dev/null'], {
    env, stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => terminal.kill('SIGKILL'));
  let output = '';
  const waiting = new Set<() => void>();
  terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    for (const check of [...waiting]) check();
  });
  const seen = (what: RegExp) => new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${String(what)} in\n${output}`)), 8_000);
    const check = () => {
      if (!what.test(output)) return;
      clearTimeout(timer);
      waiting.delete(check);
      resolve();
    };
    waiting.add(check);
    check();
  });
  await seen(new RegExp(`dev-app.*http://127\\.0\\.0\\.1:${port}.*ready in \\d+ms`));
  terminal.stdin.write('rs\r');
  await seen(/reloaded in \d+ms/);
  const began = performance.now();
  terminal.stdin.write('\u0003');
  await new Promise((resolve) => terminal.once('exit', resolve));
  assert.ok(performance.now() - began < 1_500);
  assert.doesNotMatch(output, /INFO/);
  t.diagnostic(JSON.stringify(output));
});

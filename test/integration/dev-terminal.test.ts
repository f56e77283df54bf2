import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { bin, freePort, node } from '../helpers/cluster.js';
import { copyOf, startDev } from '../helpers/dev.js';
import { eventually } from '../helpers/eventually.js';
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

/** `framework dev` in a terminal of its own (script). */
class Dev {
  output = '';
  readonly ended: Promise<number | null>;
  readonly #terminal: ChildProcess;
  readonly #waiting = new Set<() => void>();

  constructor(t: TestContext, words: string[], env: Record<string, string | undefined> = {}) {
    this.#terminal = spawn('script', ['-qec', [node, bin, 'dev', ...words].join(' '), '/dev/null'], {
      env: { ...process.env, TERM: 'xterm', NODE_ENV: '', NO_COLOR: undefined, FORCE_COLOR: undefined, ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.ended = new Promise((resolve) => { this.#terminal.once('exit', resolve); });
    t.after(() => this.#terminal.kill('SIGKILL'));
    this.#terminal.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
      for (const check of [...this.#waiting]) check();
    });
  }

  type(text: string): void {
    this.#terminal.stdin?.write(text);
  }

  seen(what: RegExp, from = 0): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${String(what)} in\n${this.output}`)), 8_000);
      const check = () => {
        if (!what.test(this.output.slice(from))) return;
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }
}

const atTerminal = { timeout: 20_000, skip: process.platform !== 'linux' && unsuited.linux };
const APP = `console.log('the \\u001b[35mapp\\u001b[39m itself, 2026-01-01 INFO');
export default ({ logger }) => {
  logger.warn('by its logger');
  return (request, response) => response.end('up');
};`;

test('at a terminal: the address, one line a reload, the app\'s own output as it is, no line of the log', atTerminal, async (t) => {
  const dir = copyOf(t, 'dev-app');
  writeFileSync(path.join(dir, 'package.json'), '{ "name": "dev-app", "type": "module" }');
  writeFileSync(path.join(dir, 'app.js'), APP);
  const port = await freePort();
  const dev = new Dev(t, [dir, '--port', String(port)]);
  await dev.seen(new RegExp(`dev-app.*ready in \\d+ ms[^]*local.*http://127\\.0\\.0\\.1:${port}[^]*h \\+ Enter`));
  assert.match(dev.output, /^the \u001b\[35mapp\u001b\[39m itself, 2026-01-01 INFO\r\n/m);
  assert.match(dev.output, /^\u001b\[2mworker#0\u001b\[39;22m {2}\u001b\[33mby its logger\u001b\[39;22m\r\n/m);
  let from = dev.output.length;
  writeFileSync(path.join(dir, 'app.js'), `${APP}\n// saved`);
  await dev.seen(/app\.js changed, \d+ ms/, from);
  from = dev.output.length;
  dev.type('rs\r');
  await dev.seen(/reloaded, \d+ ms/, from);
  const began = performance.now();
  dev.type('\u0003');
  await dev.ended;
  assert.ok(performance.now() - began < 1_500);
  const lines = dev.output.replace(/\u001b\[[\d;]+m/g, '').split('\r\n');
  assert.deepEqual(lines.filter((line) => /^\d{4}-|\[master\]/.test(line)), []);
  assert.equal(lines.filter((line) => /^(?:app\.js changed|reloaded), \d+ ms$/.test(line)).length, 2, dev.output);
  t.diagnostic(JSON.stringify(dev.output));
});

test('at a terminal: letters with Enter, in colours or without', atTerminal, async (t) => {
  const dir = copyOf(t, 'dev-app');
  const port = await freePort();
  const browser = path.join(dir, 'browser.sh');
  writeFileSync(browser, '#!/bin/sh\necho "$1" > "$0.opened"\n', { mode: 0o755 });
  const dev = new Dev(t, [dir, '--port', String(port)], { NO_COLOR: '1', BROWSER: browser });
  await dev.seen(/h \+ Enter/);
  dev.type('h\r');
  await dev.seen(/r, rs {2}reloads[^]*o {6}opens[^]*q {6}ends it/);
  let from = dev.output.length;
  dev.type('u\r');
  await dev.seen(new RegExp(`local {4}http://127\\.0\\.0\\.1:${port}`), from);
  assert.ok(!dev.output.includes('\u001b'), 'NO_COLOR');
  dev.type('o\r');
  await eventually(() => existsSync(`${browser}.opened`) && readFileSync(`${browser}.opened`, 'utf8') === `http://127.0.0.1:${port}\n`);
  from = dev.output.length;
  dev.type('r\r');
  await dev.seen(/reloaded, \d+ ms/, from);
  dev.type('c\r');
  await dev.seen(/\u001b\[2J/);
  dev.type('what else\r');
  dev.type('q\r');
  assert.equal(await dev.ended, 0);
});

test('at a terminal with --log-format: the lines of the log', atTerminal, async (t) => {
  const dev = new Dev(t, [copyOf(t, 'dev-app'), '--port', '0', '--log-format', 'text']);
  await dev.seen(/^\d{4}-\d\d-\d\d .* INFO \d+ \[master\] .* started on/m);
  const from = dev.output.length;
  dev.type('rs\r');
  await dev.seen(/\[master\] reloaded in \d+ms/, from);
});

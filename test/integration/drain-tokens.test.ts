import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { EventSource } from 'eventsource';
import { freePort, startCluster, type Scope, type TestCluster } from '../helpers/cluster.js';
import { ownApp } from '../helpers/own-app.js';
import { startNginx, withoutNginx } from '../helpers/proxies.js';
import { readTokens, type Asked } from '../helpers/token-streams.js';
import { mostWithin } from '../helpers/web-sockets.js';
import { withConfig } from '../helpers/with-config.js';

type Options = { workers?: number; http2?: number } & Record<string, number>;
const start = (t: Scope, app: string, { workers = 2, http2 = 0, ...graceful }: Options): Promise<TestCluster> =>
  startCluster(t, app, {
    env: http2 ? { HTTP2_CLEAR_PORT: String(http2) } : {},
    flags: ['--config', withConfig(t, { workers, agent: false, plugins: { 'graceful-exit': graceful } })],
  });

/** Every kind of client: by method, compression and protocol. */
const kinds = (ports: { port: number; http2: boolean }[]): Omit<Asked, 'tokens' | 'ms'>[] => ports.flatMap((where) =>
  (['GET', 'POST'] as const).flatMap((method) => [false, true].map((gzip) => ({ ...where, method, gzip }))));

test('a token stream is whole after a reload, a scale and a SIGTERM: GET and POST, plain and gzip, HTTP/1.1 and HTTP/2', async (t) => {
  const http2 = await freePort();
  const cluster = await start(t, 'token-streams', { http2 });
  const all = kinds([{ port: cluster.port, http2: false }, { port: http2, http2: true }]);
  const read = () => all.map((kind) => readTokens({ ...kind, tokens: 60, ms: 100 }));
  const answers = read();
  await delay(700);
  await cluster.run('reload');
  answers.push(...read());
  await delay(300);
  await cluster.run('scale', ['1']);
  process.kill((await cluster.status()).workers[0]!.pid, 'SIGTERM');
  assert.deepEqual(await Promise.all(answers), answers.map(() => ({ how: 'whole', tokens: 60 })));
  assert.equal((await cluster.status()).cut, 0);
  await cluster.stop();
});

test('what a stop must cut looks whole to no client', async (t) => {
  const http2 = await freePort();
  const cluster = await start(t, 'token-streams', { http2, timeout: 1_500 });
  const all = kinds([{ port: cluster.port, http2: false }, { port: http2, http2: true }]);
  const answers = all.map((kind) => readTokens({ ...kind, tokens: 10_000, ms: 50 }));
  await delay(900);
  await cluster.stop();
  for (const { how, tokens } of await Promise.all(answers)) assert.ok(how === 'cut' && tokens > 5, `${how} ${tokens}`);
  assert.match(cluster.output, /WARN .*\(\d requests cut\)/);
});

test('nor to a client behind nginx as it is installed: HTTP/1.0 to us, buffering, no length', { skip: withoutNginx }, async (t) => {
  const cluster = await start(t, 'token-streams', { timeout: 1_500 });
  const nginx = await startNginx(t, (port) => `server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${cluster.port}; } }`);
  const all = kinds([{ port: nginx, http2: false }]);
  const whole = all.map((kind) => readTokens({ ...kind, tokens: 40, ms: 50 }));
  await delay(500);
  await cluster.run('reload');
  assert.deepEqual(await Promise.all(whole), whole.map(() => ({ how: 'whole', tokens: 40 })));
  const cut = all.map((kind) => readTokens({ ...kind, tokens: 10_000, ms: 50 }));
  await delay(900);
  await cluster.stop();
  for (const { how, tokens } of await Promise.all(cut)) assert.ok(how === 'cut' && tokens > 5, `${how} ${tokens}`);
});

const FETCH = `export default { fetch(request) {
  const n = Number(new URL(request.url).searchParams.get('n')) || Infinity;
  const encoder = new TextEncoder();
  let at = 0;
  return new Response(new ReadableStream({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      controller.enqueue(encoder.encode('data: ' + at++ + '\\n\\n'));
      if (at >= n) controller.close();
    },
  }), { headers: { 'content-type': 'text/event-stream' } });
} };`;

test('an app with fetch(): its streams are finished, moved and cut like any other\'s', async (t) => {
  const { dir } = ownApp(t, { 'package.json': { name: 'fetching' }, 'app.mjs': FETCH });
  const cluster = await start(t, dir, { workers: 1, timeout: 1_500, subscriptionAge: 500, moveWithin: 500 });
  const whole = (['GET', 'POST'] as const).map((method) => readTokens({ port: cluster.port, method, tokens: 150, ms: 0 }));
  await delay(300);
  const moved = readTokens({ port: cluster.port, method: 'GET', tokens: 100_000, ms: 0 });
  await delay(200);
  await cluster.run('reload');
  assert.equal((await moved).how, 'cut');
  const [get, post] = await Promise.all(whole);
  // A GET that asks for an event stream, and is old enough: its client comes back by itself.
  assert.equal(get?.how, 'cut');
  assert.deepEqual(post, { how: 'whole', tokens: 150 });
  const cut = readTokens({ port: cluster.port, method: 'POST', tokens: 100_000, ms: 0 });
  await delay(300);
  await cluster.stop();
  assert.equal((await cut).how, 'cut');
});

test('EventSource clients come back a few at a time', async (t) => {
  const cluster = await start(t, 'token-streams', { workers: 2, subscriptionAge: 500, moveWithin: 5_000 });
  const [errors, opened]: [number[], number[]] = [[], []];
  const heard = new Map<number, string>();
  const sources = Array.from({ length: 60 }, (_, n) => {
    const source = new EventSource(`http://127.0.0.1:${cluster.port}/events`);
    source.addEventListener('open', () => opened.push(performance.now()));
    source.addEventListener('error', () => errors.push(performance.now()));
    source.addEventListener('message', ({ data }) => heard.set(n, data));
    return source;
  });
  t.after(() => { for (const source of sources) source.close(); });
  await cluster.waitFor(() => opened.length === 60);
  await delay(1_600);
  const began = performance.now();
  await cluster.run('reload');
  assert.ok(performance.now() - began < 5_000, 'nobody waits for subscriptions');
  await cluster.waitFor(() => opened.length >= 120, 20_000);
  assert.equal(errors.length, 60);
  assert.ok(mostWithin(errors, 500) <= 15, `${mostWithin(errors, 500)} of 60 within 500 ms`);
  const pids = new Set((await cluster.status()).workers.map(({ pid }) => pid));
  await cluster.waitFor(() => [...heard.values()].every((data) => pids.has((JSON.parse(data) as { pid: number }).pid)));
  for (const source of sources) source.close();
  await cluster.stop();
});

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, readdirSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import test from 'node:test';
import { eventually, startTestCluster, type TestCluster } from '../../bin/testing/index.js';
import { fixture, root, type Scope } from '../helpers/cluster.js';
import { ownApp } from '../helpers/own-app.js';

const packages = fixture('plugin-packages');
const names = readdirSync(packages).sort();
const PUBLIC = /^(?:hatchery(?:\/(?:cli|runtime|testing))?|@opentelemetry\/api|node:.*|\.\/.*)$/;

interface Beside {
  workers?: number;
  files?: Record<string, string>;
  plugins?: object;
}

/** An app with one of these packages installed, and these options; answers to `/wait` begin and do not end. */
async function withPlugin(
  t: Scope, name: string, options: object, { workers = 1, files = {}, plugins = {} }: Beside = {},
): Promise<TestCluster> {
  const app = `export default (request, response) => {
    if (request.url === '/wait') response.write('begun');
    else response.end('app');
  };`;
  const { dir } = ownApp(t, {
    'package.json': '{ "name": "shop", "type": "module" }', 'app.js': app,
    '.clusterrc': { plugins: { [`hatchery-${name}`]: options, ...plugins } },
    ...files,
  });
  mkdirSync(path.join(dir, 'node_modules'));
  symlinkSync(root, path.join(dir, 'node_modules/hatchery'));
  symlinkSync(path.join(root, 'node_modules/@opentelemetry'), path.join(dir, 'node_modules/@opentelemetry'));
  cpSync(path.join(packages, name), path.join(dir, `node_modules/hatchery-${name}`), { recursive: true });
  const cluster = await startTestCluster({ target: dir, workers });
  t.after(() => cluster.stop());
  return cluster;
}

for (const name of names) {
  test(`${name} is short, and imports what is public alone`, () => {
    const files = readdirSync(path.join(packages, name)).filter((file) => file.endsWith('.js'));
    const texts = files.map((file) => readFileSync(path.join(packages, name, file), 'utf8'));
    assert.ok(texts.join('').split('\n').length < 100);
    const imported = texts.flatMap((text) => [...text.matchAll(/\bfrom '([^']+)'/g)].map((match) => match[1] as string));
    assert.deepEqual(imported.filter((one) => !PUBLIC.test(one)), []);
  });
}

test('access-log: a line for each answer, and for whoever has gone', async (t) => {
  const cluster = await withPlugin(t, 'access-log', { skip: ['/quiet'] });
  await (await cluster.fetch('/quiet')).text();
  await (await cluster.fetch('/shown?secret=1')).text();
  assert.match(await cluster.line('GET /shown'), /INFO .*\[worker#0\] GET \/shown.* status=200 ms=\d+/);
  const leaving = new AbortController();
  await cluster.fetch('/wait', { signal: leaving.signal });
  leaving.abort();
  assert.match(await cluster.line('GET /wait'), /status=aborted/);
  assert.doesNotMatch(cluster.output, /\/quiet|secret/);
});

test('ip-filter: who is refused sees nothing of the app', async (t) => {
  const cluster = await withPlugin(t, 'ip-filter', { deny: ['127.0.0.0/8'] });
  const refused = await cluster.fetch('/');
  assert.deepEqual([refused.status, await refused.text()], [403, 'Forbidden']);
  const open = await withPlugin(t, 'ip-filter', { allow: ['127.0.0.1', '::1'] });
  assert.equal(await (await open.fetch('/')).text(), 'app');
  await assert.rejects(withPlugin(t, 'ip-filter', { deny: ['10.0.0.0/64'] }), /deny.*0.*expected an address, or a range/);
});

test('load-shedder: what is too much is refused at once, and taken again afterwards', async (t) => {
  const cluster = await withPlugin(t, 'load-shedder', { requests: 2, delay: 60_000 });
  const leaving = new AbortController();
  const { signal } = leaving;
  const begun = await Promise.all([cluster.fetch('/wait', { signal }), cluster.fetch('/wait', { signal })]);
  assert.deepEqual(begun.map(({ status }) => status), [200, 200]);
  const refused = await cluster.fetch('/');
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1']);
  // Who goes makes room.
  leaving.abort();
  await eventually(async () => (await cluster.fetch('/')).status === 200);
});

test('webhook: an endpoint hears of deaths, reloads and the close', async (t) => {
  const told: Record<string, unknown>[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; }).on('end', () => {
      told.push(JSON.parse(text) as Record<string, unknown>);
      response.end();
    });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const cluster = await withPlugin(t, 'webhook', { url: `http://127.0.0.1:${port}/` });
  const pid = await cluster.signal(0, 'SIGKILL');
  await cluster.until(({ workers }) => workers.some((one) => one.state === 'ready' && one.pid !== pid));
  await cluster.reload();
  assert.equal(await cluster.stop(), 0);
  const event = (name: string) => told.filter((one) => one.event === name);
  assert.deepEqual(event('death').map(({ slot, pid: dead, signal }) => [slot, dead, signal]), [[0, pid, 'SIGKILL']]);
  assert.deepEqual(event('reload').map(({ ok, replaced }) => [ok, replaced]), [[true, 1]]);
  assert.equal(event('close').length, 1);
});

/** What asks until it is stopped, and counts answers by version; a failure is one too. */
function asking(cluster: TestCluster, headers: Record<string, string>) {
  const count: Record<string, number> = {};
  let stopped = false;
  const body = 'x'.repeat(100_000);
  const loop = (async () => {
    while (!stopped) {
      const answer = await cluster.fetch('/', { method: 'POST', body, headers }).then((one) => one.text(), () => 'failed');
      count[answer] = (count[answer] ?? 0) + 1;
    }
  })();
  return async () => {
    stopped = true;
    await loop;
    return count;
  };
}

/** Answers with its version and the length of what was sent. */
const versioned = (version: number) => `export default (request, response) => {
  let length = 0;
  request.on('data', (bytes) => { length += bytes.length; });
  request.on('end', () => response.end('version ${version}, ' + length));
};`;

test('canary-by-header: who bears the header gets the other version, through deaths and reloads', async (t) => {
  const canary = ownApp(t, { 'package.json': '{ "name": "shop", "type": "module" }', 'next.js': versioned(2) });
  const cluster = await withPlugin(t, 'canary-by-header', { dir: canary.dir, entry: 'next.js' }, {
    workers: 3, files: { 'app.js': versioned(1) },
  });
  const lanes = [asking(cluster, {}), asking(cluster, {}), asking(cluster, { 'X-Canary': '1' }), asking(cluster, { 'X-Canary': '1' })];
  await cluster.reload();
  await cluster.reload();
  const counts = await Promise.all(lanes.map((stop) => stop()));
  const versions = counts.map((count) => Object.keys(count));
  assert.deepEqual(versions, [['version 1, 100000'], ['version 1, 100000'], ['version 2, 100000'], ['version 2, 100000']]);
  const pid = await cluster.signal(0, 'SIGKILL');
  await cluster.until(({ workers }) => workers.some((one) => one.slot === 0 && one.state === 'ready' && one.pid !== pid));
  assert.equal(await (await cluster.fetch('/', { headers: { 'x-canary': '' } })).text(), 'version 2, 0');
});

/** What an SDK is to the API of OpenTelemetry, with an exporter that keeps what is ended. */
const SDK = `
  import { trace } from '@opentelemetry/api';
  const ended = [];
  const startSpan = (name, { attributes }) => {
    const span = { name, attributes: { ...attributes }, status: { code: 0 }, events: [] };
    return {
      setAttributes: (more) => { Object.assign(span.attributes, more); },
      setStatus: (status) => { span.status = status; },
      addEvent: (event) => { span.events.push(event); },
      end: () => { if (!ended.includes(span)) ended.push(span); },
    };
  };
  trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan }) });
  export default { name: 'sdk', apply(master) {
    master.route({ method: 'GET', path: '/spans', open: false, handler: () => ({ body: ended }) });
  } };`;

interface Span { name: string; attributes: Record<string, unknown>; status: { code: number; message?: string }; events: string[] }

test('otel-events: start, reload and each process are spans, with what has happened to them', async (t) => {
  const cluster = await withPlugin(t, 'otel-events', true as never, { files: { 'sdk.js': SDK }, plugins: { './sdk.js': true } });
  const pid = await cluster.signal(0, 'SIGKILL');
  await cluster.until(({ workers }) => workers.some((one) => one.state === 'ready' && one.pid !== pid));
  await cluster.reload();
  const spans = async (): Promise<Span[]> => JSON.parse((await cluster.control.get('/spans')).body) as Span[];
  await eventually(async () => (await spans()).filter(({ name }) => name === 'hatchery.worker').length === 2);
  const all = await spans();
  const [killed, replaced] = all.filter(({ name }) => name === 'hatchery.worker');
  const { 'process.pid': died, 'hatchery.cause': cause, 'process.signal': signal } = killed?.attributes ?? {};
  assert.deepEqual([died, cause, signal], [pid, 'crash', 'SIGKILL']);
  assert.deepEqual([killed?.status, killed?.events], [{ code: 2, message: 'crash, SIGKILL' }, ['ready']]);
  assert.deepEqual([replaced?.attributes['hatchery.cause'], replaced?.status.code, replaced?.events], ['requested', 0, ['ready', 'drain']]);
  const reload = all.find(({ name }) => name === 'hatchery.reload');
  assert.deepEqual([reload?.attributes['hatchery.replaced'], reload?.attributes['hatchery.generation']], [1, 2]);
  assert.ok(all.some(({ name }) => name === 'hatchery.start'));
});

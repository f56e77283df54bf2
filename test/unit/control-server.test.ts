import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { createServer, connect } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { ControlClient } from '../../bin/client.js';
import type { Progress, Route, Status } from '../../lib/api/control.js';
import { ControlServer, type Controlled } from '../../lib/control/server.js';
import { ClusterError } from '../../lib/kit/errors.js';
import { eventually } from '../helpers/eventually.js';

const dir = mkdtempSync(path.join(os.tmpdir(), 'hc-'));
after(() => rmSync(dir, { recursive: true, force: true }));
let serial = 0;

class FakeMaster implements Controlled {
  readonly routes: Route[] = [];
  readonly calls: unknown[][] = [];
  readonly listeners = new Set<(progress: Progress) => void>();
  reloading: () => Promise<unknown> = async () => ({ ok: true, replaced: 2 });
  launch = () => ({
    env: { SECRET: 'told' }, node: { path: process.execPath, version: process.version }, ppid: 1,
    listen: { port: 1 }, ports: [], address: null,
  });
  status = async () => ({ title: 'fake', state: 'running' }) as Status;
  reload = async (...args: unknown[]) => {
    this.calls.push(['reload', ...args]);
    return await this.reloading() as never;
  };
  scale = async (change: number | string) => {
    this.calls.push(['scale', change]);
    return { from: 1, to: 2 };
  };
  close = async (...args: unknown[]) => {
    this.calls.push(['close', ...args]);
    return 0;
  };
  spare = async (pid: number) => { this.calls.push(['spare', pid]); };
  onProgress = (listener: (progress: Progress) => void) => {
    this.listeners.add(listener);
    return () => { this.listeners.delete(listener); };
  };
  say(progress: Progress): void { for (const listener of this.listeners) listener(progress); }
}

async function serve(scope: { after(fn: () => unknown): void }) {
  const master = new FakeMaster();
  const socket = path.join(dir, `${serial++}.sock`);
  const server = new ControlServer(master);
  await server.listen(socket);
  scope.after(() => server.close());
  return { master, socket, server, client: new ControlClient({ socket, pid: process.pid, title: 'fake' }) };
}

function raw(socketPath: string, method: string, url: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    request({ socketPath, method, path: url }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => { body += text; })
        .on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    }).on('error', reject).end();
  });
}

test('the socket is for its user alone, answers the status, and is gone after close', async (t) => {
  const { client, socket, server } = await serve(t);
  assert.equal(statSync(socket).mode & 0o777, 0o600);
  assert.deepEqual(await client.status(), { title: 'fake', state: 'running' });
  await server.close();
  assert.equal(existsSync(socket), false);
});

test('a command streams its own progress and then its result', async (t) => {
  const { client, master } = await serve(t);
  master.reloading = async () => {
    master.say({ task: 'scale', text: 'not of this task' });
    master.say({ task: 'reload', text: 'one' });
    await new Promise((resolve) => setImmediate(resolve));
    master.say({ task: 'reload', text: 'two', slot: 1, pid: 7 });
    return { ok: true, replaced: 2 };
  };
  const seen: string[] = [];
  const result = await client.run('/reload?agent=0&queue=1&reason=test', ({ text }) => { seen.push(text); });
  assert.deepEqual(result, { ok: true, replaced: 2 });
  assert.deepEqual(seen, ['one', 'two']);
  assert.deepEqual(master.calls, [['reload', 'test', { agent: false, queue: true }]]);
  assert.equal(master.listeners.size, 0);
});

test('scale and stop hand on what was asked', async (t) => {
  const { client, master } = await serve(t);
  assert.deepEqual(await client.run(`/scale?to=${encodeURIComponent('+1')}`), { from: 1, to: 2 });
  assert.deepEqual(await client.run('/stop?force=1'), { code: 0 });
  assert.deepEqual(master.calls, [['scale', '+1'], ['close', 'stop', { force: true }]]);
});

test('a refusal reaches the client with its code and its detail', async (t) => {
  const { client, master } = await serve(t);
  master.reloading = () =>
    Promise.reject(new ClusterError('ERR_CLUSTER_RELOAD_ABORTED', 'worker#0 did not start', { detail: 'SyntaxError: no' }));
  await assert.rejects(client.run('/reload'),
    { code: 'ERR_CLUSTER_RELOAD_ABORTED', message: 'worker#0 did not start', detail: 'SyntaxError: no' });
});

test('an unforeseen error of the master is an answer, not a crash', async (t) => {
  const { client, master, socket } = await serve(t);
  master.reloading = () => Promise.reject(new TypeError('oops'));
  await assert.rejects(client.run('/reload'), { name: 'TypeError', message: 'oops' });
  master.status = () => Promise.reject(new Error('no status'));
  await assert.rejects(client.status(), { code: 'ERR_CLUSTER_CONTROL', message: /could not answer \/status: no status/ });
  assert.equal((await raw(socket, 'GET', '/status')).status, 500);
});

test('routes of plugins are answered; the rest is 404, a wrong method 405', async (t) => {
  const { master, socket } = await serve(t);
  master.routes.push({ method: 'GET', path: '/metrics', open: true, handler: (query) => ({ body: `a ${query.get('x')}\n` }) });
  assert.deepEqual(await raw(socket, 'GET', '/metrics?x=1'), { status: 200, body: 'a 1\n' });
  assert.equal((await raw(socket, 'GET', '/nothing')).status, 404);
  assert.equal((await raw(socket, 'GET', '/reload')).status, 405);
  assert.equal((await raw(socket, 'POST', '/status')).status, 405);
});

test('a body that is given up, is too long or no JSON is an answer at most, and nothing is thrown', async (t) => {
  const { master, socket } = await serve(t);
  master.routes.push({ method: 'POST', path: '/mine', open: false, handler: (_, { body }) => ({ body: { body } }) });
  const post = (body: string | Buffer, type = 'application/json') => new Promise<number | string>((resolve) => {
    const call = request({ socketPath: socket, method: 'POST', path: '/mine', headers: { 'Content-Type': type } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    }).on('error', ({ message }) => resolve(message));
    call.end(body);
  });
  const faults: unknown[] = [];
  const fault = (error: unknown) => faults.push(error);
  process.on('unhandledRejection', fault);
  t.after(() => process.off('unhandledRejection', fault));

  await post(Buffer.alloc(32 * 1024 * 1024, 97), 'text/plain');
  const half = request({ socketPath: socket, method: 'POST', path: '/mine', headers: { 'Content-Length': 100 } }).on('error', () => {});
  half.write('a part', () => half.destroy());
  await new Promise((resolve) => half.on('close', resolve));
  assert.equal(await post('{ no JSON'), 400);
  assert.equal(await post('{ "a": 1 }'), 200);
  assert.deepEqual(faults, []);
});

test('a client that goes away leaves the command running and nothing behind', async (t) => {
  const { master, socket } = await serve(t);
  let finish!: () => void;
  const finished = new Promise<void>((resolve) => { finish = resolve; });
  master.reloading = () => finished;
  await new Promise<void>((resolve) => {
    const asked = request({ socketPath: socket, method: 'POST', path: '/reload' }, (response) => {
      response.once('close', resolve);
      response.on('error', () => {});
      asked.destroy();
    });
    asked.on('error', () => {}).end();
  });
  assert.equal(master.listeners.size, 1);
  for (let n = 0; n < 1000; n++) master.say({ task: 'reload', text: 'x'.repeat(1000) });
  finish();
  for (let n = 0; n < 100 && master.listeners.size > 0; n++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(master.listeners.size, 0);
});

test('a master that dies midway, hangs or has no socket is a clear error', async (t) => {
  const socket = path.join(dir, `${serial++}.sock`);
  const client = new ControlClient({ socket, pid: 4711, title: 'fake' });
  await assert.rejects(client.status(), { code: 'ERR_CLUSTER_CONTROL', message: 'the master of "fake" (pid 4711) has no control socket' });
  let answer: string | null = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"pro\r\n';
  const server = createServer((connection) => connection.once('data', () => { if (answer !== null) connection.end(answer); }));
  await new Promise<void>((resolve) => { server.listen(socket, resolve); });
  t.after(() => server.close());
  await assert.rejects(client.run('/reload'),
    { code: 'ERR_CLUSTER_CONTROL', message: 'the master of "fake" (pid 4711) went away before it was done' });
  answer = 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"progress":{"task":"reload","text":"one"}}\n';
  await assert.rejects(client.run('/reload'), { message: /went away before it was done/ });
  answer = null;
  await assert.rejects(client.status(100),
    { code: 'ERR_CLUSTER_CONTROL', message: 'the master of "fake" (pid 4711) did not answer within 100 ms' });
});

test('clients that say nothing, or nonsense, take no place from one that asks', async (t) => {
  const { socket } = await serve(t);
  let closed = 0;
  const silent = await Promise.all(Array.from({ length: 200 }, (_, n) => new Promise<ReturnType<typeof connect>>((resolve) => {
    const one = connect(socket, () => {
      if (n % 2) one.write('\0\u00ff{]GET');
      resolve(one);
    });
    one.resume().on('close', () => { closed++; }).on('error', () => {});
  })));
  t.after(() => { for (const one of silent) one.destroy(); });
  assert.equal((await raw(socket, 'GET', '/status')).status, 200);
  await eventually(() => closed >= 100);
});

import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { freePortRow } from '../helpers/cluster.js';
import { startDev } from '../helpers/dev.js';

interface Debuggable { title: string; webSocketDebuggerUrl: string }

/** What a debugger sees on a port; null when nobody listens. */
function debuggable(port: number): Promise<Debuggable | null> {
  return new Promise((resolve) => {
    http.get({ host: '127.0.0.1', port, path: '/json/list', agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; })
        .on('end', () => resolve((JSON.parse(text) as Debuggable[])[0] ?? null));
    }).on('error', () => resolve(null));
  });
}

test('--inspect: master, agent and worker have their own ports, printed once, the same after a reload', { timeout: 30_000 }, async (t) => {
  const base = await freePortRow(3);
  const dev = await startDev(t, 'dev-agent', { flags: [`--inspect=${base}`] });
  const { cluster } = dev;
  await dev.answer(/app/);
  await cluster.waitFor(new RegExp(`inspector: master ${base}, agent ${base + 1}, worker#0 ${base + 2}`));
  const before = await Promise.all([0, 1, 2].map((offset) => debuggable(base + offset)));
  assert.equal(new Set(before.map((one) => one?.webSocketDebuggerUrl)).size, 3);
  assert.ok(before.every(Boolean));
  for (const word of ['second', 'third']) {
    dev.write('app.js', `module.exports = (request, response) => response.end('${word}');`);
    await dev.answer(new RegExp(word));
    const after = await Promise.all([0, 1, 2].map((offset) => debuggable(base + offset)));
    assert.ok(after[2], 'the new worker has the port of the old one');
    assert.notEqual(after[2].webSocketDebuggerUrl, before[2]?.webSocketDebuggerUrl);
    assert.equal(after[1]?.webSocketDebuggerUrl, before[1]?.webSocketDebuggerUrl);
  }
  assert.equal(cluster.output.match(/inspector: master/g)?.length, 1);
  assert.doesNotMatch(cluster.output, /address already in use/);
});

test('--inspect-brk: a worker waits for its debugger, however long that takes', { timeout: 30_000 }, async (t) => {
  const base = await freePortRow(3);
  const dev = await startDev(t, 'dev-app', { flags: [`--inspect-brk=${base}`, '--start-timeout', '500'], ready: false });
  await dev.cluster.waitFor(/inspector: master/);
  let target: Debuggable | null = null;
  await dev.cluster.waitFor(() => {
    void debuggable(base + 2).then((found) => { target ??= found; });
    return target !== null;
  });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  assert.doesNotMatch(dev.cluster.output, /startTimeout|does not start/);
  const { WebSocket } = await import('ws');
  const socket = new WebSocket((target as unknown as Debuggable).webSocketDebuggerUrl);
  await new Promise((resolve) => socket.once('open', resolve));
  for (const [id, method] of ['Runtime.enable', 'Debugger.enable', 'Runtime.runIfWaitingForDebugger', 'Debugger.resume'].entries()) {
    socket.send(JSON.stringify({ id, method }));
  }
  const resume = setInterval(() => socket.send(JSON.stringify({ id: 9, method: 'Debugger.resume' })), 200);
  t.after(() => {
    clearInterval(resume);
    socket.close();
  });
  await dev.answer(/version 1/);
});

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { answering, ownApp } from '../helpers/own-app.js';
import { withConfig } from '../helpers/with-config.js';

const ask = async (url: string, body: object) =>
  (await get(url, { method: 'POST', body: JSON.stringify(body) })).json as { result?: { error?: { code: string; message: string } } };

test('a plain server has no agent process, and what needs one is told to set agent: true', async (t) => {
  const cluster = await startCluster(t, 'messages', { flags: ['--config', withConfig(t, { workers: 1, agent: false })] });
  assert.equal((await cluster.status()).agent, null);
  for (const body of [{ verb: 'sendToAgent', args: ['x'] }, { verb: 'request', args: ['agent', 'x'] }]) {
    const { error } = (await ask(cluster.url, body)).result ?? {};
    assert.equal(error?.code, 'ERR_CLUSTER_NO_AGENT');
    assert.match(error?.message ?? '', /agent: true/);
  }
  assert.equal((await ask(cluster.url, { verb: 'broadcast', args: ['x'] })).result, true);
});

test('agent: true has one without a module', async (t) => {
  const cluster = await startCluster(t, 'hello', { flags: ['--config', withConfig(t, { workers: 1, agent: true })] });
  assert.equal((await cluster.status()).agent?.state, 'ready');
  await cluster.stop();
  await cluster.assertNothingLeft();
});

test('the agent goes with a reload that leaves nothing for it', async (t) => {
  const app = ownApp(t, { 'server.js': answering('a'), 'agent.js': 'module.exports = () => {};' });
  const cluster = await startCluster(t, app.dir, { flags: ['-w', '1'] });
  assert.equal((await cluster.status()).agent?.state, 'ready');
  rmSync(path.join(app.dir, 'agent.js'));
  assert.equal((await cluster.run('reload')).code, 0);
  assert.equal((await cluster.status()).agent, null);
  assert.match(cluster.output, /the agent goes/);
});

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { startCluster, type TestCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';

/** A plugin that writes down which messages pass the master. */
function watching(t: TestContext, tap: string): string {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'hw-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = path.join(dir, 'watching.mjs');
  writeFileSync(file, `export default { name: 'watching', apply(master) {
    master.hooks.message.tap(${tap}, ({ action, id }) => { master.logger.info('seen ' + action + ' ' + typeof id); });
  } };`);
  const config = path.join(dir, 'cluster.json');
  writeFileSync(config, JSON.stringify({ workers: 2, plugins: { [file]: true } }));
  return config;
}

const ask = async (cluster: TestCluster, body: object) =>
  (await get(cluster.url, { method: 'POST', body: JSON.stringify(body) })).json as unknown as { result: unknown };

test('workers and agent speak past the master; their sockets are theirs alone, and go with it', async (t) => {
  const cluster = await startCluster(t, 'messages', { flags: ['-w', '2'] });
  const sockets = (): string[] => cluster.files().filter((file) => path.basename(path.dirname(file)) === 'bus');
  assert.deepEqual(sockets(), [], 'nothing before anybody speaks');
  assert.equal((await ask(cluster, { verb: 'request', args: ['agent', 'sum', [1, 2]] })).result, 3);
  const { agent, workers } = await cluster.status();
  const pids = [agent!.pid, ...workers.map(({ pid }) => pid)].map(String).sort();
  await eventually(() => sockets().length === 3);
  assert.deepEqual(sockets().map((file) => path.basename(file)).sort(), pids);
  for (const file of sockets()) {
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(statSync(path.dirname(file)).mode & 0o777, 0o700);
  }
  await cluster.stop();
  await cluster.assertNothingLeft();
});

test('a tap of `message` that names its actions sees those and what is for the master, and nothing else passes', async (t) => {
  const config = watching(t, '{ name: "any", actions: ["sum", "everybody"] }');
  const cluster = await startCluster(t, 'messages', { flags: ['--config', config] });
  assert.equal((await ask(cluster, { verb: 'request', args: ['agent', 'sum', [1, 2]] })).result, 3);
  assert.equal((await ask(cluster, { verb: 'request', args: ['agent', 'date', 1] })).result, false);
  await ask(cluster, { verb: 'broadcast', args: ['everybody', 1] });
  await cluster.waitFor(/seen everybody string/);
  const seen = [...cluster.output.matchAll(/seen (\S+)/g)].map(([, action]) => action);
  assert.deepEqual(seen, ['sum', 'sum', 'everybody'], 'the answer as well; a broadcast once');
  assert.doesNotMatch(cluster.output, /go through the master/);
});

test('a tap of `message` without actions has all of them pass, and is told what that costs', async (t) => {
  const cluster = await startCluster(t, 'messages', { flags: ['--config', watching(t, '"any"')] });
  assert.equal((await ask(cluster, { verb: 'request', args: ['agent', 'date', 1] })).result, false);
  await cluster.waitFor(/seen date/);
  assert.match(cluster.output, /WARN \d+ \[master\] "watching" taps the hook message without `actions`: all .* several times slower/);
});

test('a tap of `message` with what is no list of actions is refused with a line', async (t) => {
  const cluster = await startCluster(t, 'messages', {
    ready: false, flags: ['--config', watching(t, '{ name: "any", actions: "sum" }')],
  });
  assert.equal((await cluster.ended()).code, 2);
  assert.match(cluster.output, /plugin "watching" taps the hook message: expected `actions`, a list of texts, found "sum"/);
});

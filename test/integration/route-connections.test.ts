import assert from 'node:assert/strict';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { fixture, run, startCluster } from '../helpers/cluster.js';
import { directory } from '../helpers/config-dir.js';
import { get } from '../helpers/http-get.js';

const source = (body: string) => `export default { name: 'mine', apply(master) { ${body} } };`;

/** The lowest slot that is ready, however many wait for it; logs what it was told. */
const LOWEST = source(`
  master.routeConnections({ patience: 60_000, pick: (client, unavailable, note, { address, slots }) => {
    const slot = slots.find(({ ready }) => ready)?.index;
    master.logger.info('picked ' + JSON.stringify({ slot, port: address.port, slots }));
    return slot;
  } });`);

function withPlugin(t: TestContext): string {
  const dir = directory(t, { 'mine.mjs': LOWEST, 'cluster.json': { plugins: { './mine.mjs': true } } });
  return path.join(dir, 'cluster.json');
}

test('a frozen worker is killed: those that wait for its slot are routed anew at once, to another', async (t) => {
  const cluster = await startCluster(t, 'hello', { flags: ['-w', '2', '--config', withPlugin(t)] });
  const picks = () => [...cluster.output.matchAll(/picked (\{.*\})\n/g)].map(([, json]) => JSON.parse(json ?? '') as {
    slot: number; port: number; slots: { index: number; ready: boolean; busy: boolean; waiting: number }[];
  });
  assert.equal((await get(`${cluster.url}/`)).json.slot, '0');
  assert.equal(picks()[0]?.port, Number(new URL(cluster.url).port));

  const { workers } = await cluster.status();
  process.kill(workers[0]!.pid, 'SIGSTOP');
  const answers = Promise.all(Array.from({ length: 6 }, () => get(`${cluster.url}/`)));
  await cluster.waitFor(() => picks().length === 7);
  const { slots } = picks()[6]!;
  assert.deepEqual([slots[0], slots[1]], [
    { index: 0, ready: true, busy: true, waiting: 4 }, { index: 1, ready: true, busy: false, waiting: 0 },
  ]);
  process.kill(workers[0]!.pid, 'SIGKILL');
  assert.deepEqual((await answers).map(({ json }) => json.slot), ['1', '1', '1', '1', '1', '1']);
});

test('the app runs in the master\'s process: routed connections are refused in a line', async (t) => {
  const { code, stderr } = await run(['start', fixture('hello'), '-p', '0', '-w', '0', '--no-agent', '--config', withPlugin(t)]);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /plugin "mine" routes connections, and with --workers 0 the app itself accepts them/);
  assert.equal(stderr.trim().split('\n').length, 1);
});

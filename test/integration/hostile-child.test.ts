import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { descriptors, fixture, startCluster, type TestCluster } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

interface Deeds { cutOff: object; kept: object }
const { cutOff, kept } = await import(`${fixture('hostile')}/deeds.js`) as Deeds;

let cluster: TestCluster;
const cleanups: (() => unknown)[] = [];
const scope = { after: (fn: () => unknown) => cleanups.push(fn) };
before(async () => {
  const config = withConfig(scope, { workers: 2, agent: true, refork: { limit: 10_000, maxDelay: 0 } });
  cluster = await startCluster(scope, 'hostile', { flags: ['--config', config] });
});
after(async () => {
  for (const cleanup of cleanups) await cleanup();
});

const tell = async (what: string) => (await get(`${cluster.url}/do?what=${encodeURIComponent(what)}`)).json as unknown as { did: unknown };

/** The worker of slot 1 and how often it was replaced, once it is ready. */
async function second(): Promise<{ pid: number; restarts: number }> {
  for (;;) {
    const { workers } = JSON.parse((await cluster.run('status', ['--json'])).stdout) as Awaited<ReturnType<TestCluster['status']>>;
    const found = workers.find(({ slot, state }) => slot === 1 && state === 'ready');
    if (found) return found;
  }
}

for (const what of Object.keys(cutOff)) {
  test(`a worker is cut off and replaced for ${what}`, async () => {
    const from = cluster.output.length;
    void tell(what).catch(() => {});
    const [line] = await cluster.waitFor(/ERROR .*\(slot 1\) was cut off, as [^\n]*/, 20_000, from);
    assert.match(line, /; it was ended by SIGKILL \(cutOff\)/);
    await cluster.waitFor(/\(slot 1\) started/, 20_000, from);
  });
}

test('status tells the cause and the reason', async () => {
  const { workers } = await cluster.status();
  const { lastExit } = workers.find(({ slot }) => slot === 1)!;
  assert.equal(lastExit?.cause, 'cutOff');
  assert.match(lastExit?.error ?? '', /cut off, as /);
});

for (const what of Object.keys(kept)) {
  test(`a worker stays as it is for ${what}`, async () => {
    const before = await second();
    const open = descriptors(cluster.pid);
    assert.deepEqual((await tell(what)).did, before.pid, cluster.output.slice(-2_000));
    assert.deepEqual((await tell('an answer to nothing')).did, before.pid, cluster.output.slice(-2_000));
    assert.ok(descriptors(cluster.pid) <= open + 1, 'descriptors are left open');
  });
}

test('nothing but that was logged as an error, and a stop leaves nothing', async () => {
  assert.equal((await cluster.stop()).code, 0);
  const errors = cluster.output.split('\n').filter((line) => / ERROR /.test(line) && !/was cut off, as /.test(line));
  assert.deepEqual(errors, []);
  await cluster.assertNothingLeft();
});

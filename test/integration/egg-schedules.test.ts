import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { startCluster, type TestCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';

/** Both kinds of schedules run in the workers that there are now, once more each. */
async function schedulesGoOn(cluster: TestCluster): Promise<void> {
  const { workers } = await cluster.status();
  const from = cluster.output.length;
  await eventually(() => {
    const text = cluster.output.slice(from);
    return /schedule one \d+/.test(text) && workers.every(({ pid }) => text.includes(`schedule all ${pid}`));
  }, 60_000);
}

for (const name of ['egg3', 'egg4']) {
  test(`${name}: its schedules go on after reloads, and after the deaths of the agent and of a worker`, async (t) => {
    const home = mkdtempSync(path.join(os.tmpdir(), 'ht-egg-'));
    t.after(() => rmSync(home, { recursive: true, force: true }));
    const cluster = await startCluster(t, name, { flags: ['-w', '2'], env: { HOME: home }, deadline: 60_000 });
    await schedulesGoOn(cluster);
    for (let i = 0; i < 2; i++) {
      const before = (await cluster.status()).agent?.pid;
      assert.equal((await cluster.run('reload', [], 90_000)).code, 0);
      assert.notEqual((await cluster.status()).agent?.pid, before);
      await schedulesGoOn(cluster);
    }
    for (const pid of [(await cluster.status()).agent?.pid, (await cluster.status()).workers[0]?.pid]) {
      process.kill(pid as number, 'SIGKILL');
      await eventually(async () => {
        const { agent, workers } = await cluster.status();
        const all = [agent, ...workers];
        return all.every((one) => one?.state === 'ready') && !all.some((one) => one?.pid === pid);
      }, 60_000);
      await schedulesGoOn(cluster);
    }
    assert.equal((await cluster.stop(40_000)).code, 0);
  });
}

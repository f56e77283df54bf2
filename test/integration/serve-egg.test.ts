import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';

for (const name of ['egg3', 'egg4']) {
  test(`${name}: an application runs unmodified, with its agent and its own messenger`, async (t) => {
    // In production Egg writes its logs below the home directory.
    const home = mkdtempSync(path.join(os.tmpdir(), 'ht-egg-'));
    t.after(() => rmSync(home, { recursive: true, force: true }));
    const cluster = await startCluster(t, name, { flags: ['-w', '2'], env: { HOME: home }, deadline: 40_000 });
    const { status, json } = await get(cluster.url);
    assert.equal(status, 200);
    assert.equal(json.by, name);
    assert.equal(json.env, 'prod');
    assert.equal(json.ready, true, 'egg-ready has come');

    const asked = (await get(`${cluster.url}/ask`)).json;
    const { agent, workers } = await cluster.status();
    assert.equal(asked.agent, agent?.pid);
    assert.ok(workers.some(({ pid }) => pid === asked.asked));

    // Egg's own `agent.cluster` and `app.cluster`: the agent leads, and what one worker publishes the other one hears.
    assert.equal((await get(`${cluster.url}/clock?set=noon`)).json.leader, agent?.pid);
    const heard = new Set<unknown>();
    await eventually(async () => {
      const { pid, time } = (await get(`${cluster.url}/clock`)).json;
      if (time === 'noon') heard.add(pid);
      return heard.size === 2;
    });

    assert.equal((await cluster.stop()).code, 0);
    await cluster.assertNothingLeft();
  });
}

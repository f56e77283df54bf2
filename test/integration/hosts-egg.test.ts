import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { startCluster } from '../helpers/cluster.js';
import { noRedis, TestRedis } from '../helpers/hosts.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

for (const name of ['egg3', 'egg4']) {
  test(`${name}: app and agent may lead one of all hosts`, { skip: noRedis }, async (t) => {
    const home = mkdtempSync(path.join(os.tmpdir(), 'ht-egg-'));
    t.after(() => rmSync(home, { recursive: true, force: true }));
    const { url } = await TestRedis.start(t);
    const framework = name === 'egg3' ? 'egg' : 'egg4';
    const config = withConfig(t, { framework, plugins: { hosts: { url, name: 'a', ttl: 1_000, prefix: 'test' } } });
    const cluster = await startCluster(t, name, {
      flags: ['-w', '1', '--config', config, '--log-level', 'debug'], env: { HOME: home }, deadline: 40_000,
    });
    const lead = async () => {
      try {
        return await get(`${cluster.url}/lead`);
      } catch (error) {
        throw new Error(`${String(error)}\n${cluster.output}`);
      }
    };
    const [first, second] = [await lead(), await lead()];
    assert.equal(first.json.valid, true);
    assert.ok(Number(second.json.token) > Number(first.json.token));
    assert.equal((await get(`${cluster.url}/ask`)).json.leads, 'function');
  });
}

import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { node, startCluster, type Scope } from '../helpers/cluster.js';
import { FaultSwitch, faultyArgv } from '../helpers/faulty.js';
import { get } from '../helpers/http-get.js';
import { unsuited } from '../helpers/skips.js';
import { withConfig } from '../helpers/with-config.js';

const skip = process.platform === 'linux' ? false : unsuited.linux;

function place(t: Scope): string {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'hn-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

for (const [what, away, back] of [
  ['is gone (ENOENT)', (file: string) => renameSync(file, `${file}.away`), (file: string) => renameSync(`${file}.away`, file)],
  ['may not be run (EACCES)', (file: string) => chmodSync(file, 0o644), (file: string) => chmodSync(file, 0o755)],
] as const) {
  test(`the node binary ${what}: workers and agent are tried again until it is back`, { skip }, async (t) => {
    const binary = path.join(place(t), 'node');
    copyFileSync(node, binary);
    const config = withConfig(t, { workers: 2, refork: { maxDelay: 300 } });
    const cluster = await startCluster(t, 'faulted', { node: binary, flags: ['--config', config] });
    const { agent, workers } = await cluster.status();
    away(binary);
    for (const pid of [agent!.pid, workers[0]!.pid]) process.kill(pid, 'SIGKILL');
    await cluster.waitFor(/slot 0\) could not be forked: spawn .* E(?:NOENT|ACCES)/);
    await cluster.waitFor(/slot 0 is forked again in 300ms \(\d+ failed forks in a row\)/);
    await cluster.waitFor(/agent_worker#2:-1 could not be forked/);
    assert.equal((await get(`${cluster.url}/x`)).status, 200, 'the other worker serves');
    const from = cluster.output.length;
    back(binary);
    await cluster.waitFor(/slot 0\) started/, 5_000, from);
    await cluster.waitFor(/agent_worker#\d+:\d+ started/, 5_000, from);
    assert.doesNotMatch(cluster.output, /refork limit/);
    assert.equal((await cluster.stop()).code, 0);
  });
}

for (const code of ['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE', 'EPERM']) {
  test(`a fork that fails with ${code}, of workers and agent, is tried again`, { skip }, async (t) => {
    const file = path.join(place(t), 'faults');
    const cluster = await startCluster(t, 'faulted', { flags: ['-w', '1'], execArgv: faultyArgv, env: { FAULTS: file } });
    const faults = await FaultSwitch.to(file);
    t.after(() => faults.close());
    const { agent, workers } = await cluster.status();
    for (const [pid, started] of [[workers[0]!.pid, /slot 0\) started/], [agent!.pid, /agent_worker#\d+:\d+ started/]] as const) {
      const from = cluster.output.length;
      await faults.turn({ name: 'process.spawn', nth: 1, code });
      process.kill(pid, 'SIGKILL');
      await cluster.waitFor(started, 5_000, from);
      assert.equal((await faults.turn()).fired?.code, code);
    }
    assert.equal((await get(`${cluster.url}/x`)).status, 200);
    assert.equal((await cluster.stop()).code, 0);
  });
}

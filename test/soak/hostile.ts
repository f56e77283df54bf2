import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { residentBytes, startCluster, type Scope } from '../helpers/cluster.js';
import { get } from '../helpers/http-get.js';
import { withConfig } from '../helpers/with-config.js';

export interface MutatedFrames {
  /** How many are written to the master at least. */
  frames: number;
  /** Of one process, unless it is cut off before. */
  perLife: number;
  seed: number;
}

/** Bytes that the master may have grown by. */
const GROWN = 20 * 2 ** 20;

/**
 * A worker writes mutated frames and lines to both of its channels, again and again; the master lives, what the other worker
 * answers is never lost, memory does not grow.
 */
export async function mutatedFrames(scope: Scope, { frames, perLife, seed }: MutatedFrames): Promise<string> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'hf-'));
  scope.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = path.join(dir, 'written');
  const cluster = await startCluster(scope, 'hostile', {
    env: { HOSTILE_SHUT: '1', HOSTILE_FRAMES: `${perLife} ${seed} ${file}` },
    flags: ['--config', withConfig(scope, { workers: 2, agent: true, refork: { limit: 1e6, maxDelay: 0 } }), '--log-level', 'error'],
    ready: false,
  });
  const written = () => (existsSync(file) ? statSync(file).size : 0);
  await cluster.waitFor(() => written() > Math.min(20 * perLife, frames / 10), 30_000);
  const before = residentBytes(cluster.pid);
  let [answered, over] = [0, false];
  const lost: string[] = [];
  const clients = Array.from({ length: 4 }, async () => {
    while (!over) {
      await get(cluster.url, { deadline: 10_000 }).then(() => { answered++; }, (error: Error) => { lost.push(error.message); });
    }
  });
  await cluster.waitFor(() => written() >= frames || cluster.exited, 600_000);
  over = true;
  await Promise.all(clients);
  const grown = residentBytes(cluster.pid) - before;
  assert.ok(!cluster.exited, `the master is gone (seed ${seed})\n${cluster.output.slice(-3_000)}`);
  const { workers } = await cluster.status();
  const lives = workers.find(({ slot }) => slot === 1)?.restarts ?? 0;
  assert.equal(lost.length, 0, `${lost.length} lost of ${answered}: ${lost[0]} (seed ${seed})`);
  assert.ok(grown < GROWN, `the master has grown by ${Math.round(grown / 2 ** 20)} MiB (seed ${seed})`);
  assert.ok(answered > 50, `${answered} answered`);
  assert.equal((await cluster.stop()).code, 0);
  await cluster.assertNothingLeft();
  return `${written()} mutated frames in ${lives} lives (seed ${seed}), ${answered} answered meanwhile, 0 lost; `
    + `the master has grown by ${(grown / 2 ** 20).toFixed(1)} MiB`;
}

import { setTimeout as delay } from 'node:timers/promises';
import type { Runtime } from '../../lib/runtime.js';
import { tellAsEggCluster } from './child-lines.js';
import { prepare, type Given } from './framework.js';

export default function eggAgent(runtime: Runtime, options: Given): void {
  prepare(runtime, options);
  goLast(runtime);
  if (options.asEggCluster) tellAsEggCluster(runtime, 'agent_worker');
}

/** Milliseconds between two looks. */
const LOOK = 50;

/**
 * Without a master the agent and the workers close at the same time, and a cluster-client whose leader has gone waits half a minute for
 * another one before it closes (test/cli/hatchery-scripts.test.ts): so the agent goes last, as it does at a stop.
 */
function goLast({ hooks, messenger }: Runtime): void {
  let workers: readonly number[] = [];
  messenger.on('app-pids', (pids) => { workers = pids as number[]; });
  hooks.beforeClose.tapPromise('egg', async ({ reason, deadline }) => {
    if (reason !== 'masterGone') return;
    while (performance.now() < deadline && workers.some(isAlive)) await delay(LOOK);
  });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

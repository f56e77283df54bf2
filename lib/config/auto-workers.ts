import os from 'node:os';
import { ClusterError } from '../kit/errors.js';
import { cpuQuota } from '../kit/cgroup.js';
import { MOST_WORKERS } from './schema.js';

/**
 * What `workers: "auto"` means here: what WEB_CONCURRENCY says, as platforms set it for a size of theirs; else one for each
 * processor that this process may use, with the quota of its container, rounded up (Node itself does not see that of
 * version 1: docs/decisions/node-facts.md, 21).
 * @throws ClusterError ERR_CLUSTER_CONFIG
 */
export function autoWorkers(
  env: NodeJS.ProcessEnv, quota = cpuQuota(), processors = os.availableParallelism(),
): { workers: number; counted: string } {
  const said = env.WEB_CONCURRENCY?.trim();
  if (said) {
    const workers = /^\d+$/.test(said) ? Number(said) : 0;
    if (workers >= 1 && workers <= MOST_WORKERS) return { workers, counted: 'auto: WEB_CONCURRENCY' };
    throw new ClusterError('ERR_CLUSTER_CONFIG', `WEB_CONCURRENCY: expected a whole number from 1 to ${MOST_WORKERS}, found "${said}"`);
  }
  if (quota !== null && Math.ceil(quota) < processors) {
    return { workers: Math.max(1, Math.ceil(quota)), counted: `auto: a quota of ${Number(quota.toFixed(2))} processors` };
  }
  return { workers: processors, counted: `auto: ${processors} processor${processors === 1 ? '' : 's'}` };
}

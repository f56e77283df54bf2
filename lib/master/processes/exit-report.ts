import { ClusterError } from '../../kit/errors.js';
import type { Child, ExitInfo } from './child.js';

/** `exited with code 1 (crash) after 12ms`, for the log. */
export function describeExit({ cause, code, signal, uptime }: ExitInfo): string {
  const how = signal ? `was ended by ${signal}` : `exited with code ${code}`;
  return `${how} (${cause}) after ${uptime}ms`;
}

export const nameOf = (child: Pick<Child, 'role' | 'slot'>): string => child.role === 'agent' ? 'agent' : `worker#${child.slot}`;

/** Why a child did not become ready, with its own error whole in `detail`. */
export function startFailure(child: Child, startTimeout: number): ClusterError {
  const name = nameOf(child);
  const own = child.failure;
  const detail = [own?.output?.trimEnd(), own?.error.stack ?? own?.error.message].filter(Boolean).join('\n');
  if (child.exit?.cause === 'startTimeout') {
    return new ClusterError('ERR_CLUSTER_START_TIMEOUT', `${name} (pid ${child.pid}) was not ready within ${startTimeout} ms (startTimeout)${own ? '' : child.role === 'agent' ? ': its start hangs' : ': it never listened, or its start hangs'}`, { detail });
  }
  const { code, signal } = child.exit ?? { code: null, signal: null };
  const how = own?.error.message ? `failed: ${own.error.message}` : signal ? `was ended by ${signal} before it was ready` : `exited with code ${code} before it was ready`;
  return new ClusterError('ERR_CLUSTER_START', `${name} (pid ${child.pid}) ${how}`, { detail });
}

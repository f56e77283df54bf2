import type { Config } from '../../config/schema.js';
import { ClusterError } from '../../kit/errors.js';

/** @throws ClusterError ERR_CLUSTER_BALANCE where `reuse-port` cannot be had: Node before 22.12, or no Linux. */
export function assertBalance(balance: Config['balance'], { node = process.versions.node, platform = process.platform }: { node?: string; platform?: string } = {}): void {
  if (balance !== 'reuse-port') return;
  const [major = 0, minor = 0] = node.split('.').map(Number);
  if (platform !== 'linux') throw new ClusterError('ERR_CLUSTER_BALANCE', `balance: "reuse-port" needs Linux, this is ${platform}; use "round-robin" or "os"`);
  if (major < 22 || (major === 22 && minor < 12)) throw new ClusterError('ERR_CLUSTER_BALANCE', `balance: "reuse-port" needs Node.js 22.12 or later, this is ${node}; use "round-robin" or "os"`);
}

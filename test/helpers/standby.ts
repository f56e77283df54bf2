import type { StandbyStatus } from '../../lib/api/control.js';
import type { TestCluster } from './cluster.js';

/** Milliseconds that the app of these tests takes to load, blocked. */
export const LOADS = 800;

/** Before an app's own code: it loads slowly, and says what it knows of its slot then. */
export const slowly = `
const until = performance.now() + ${LOADS};
while (performance.now() < until);
console.log('loaded by', process.pid, 'slot', process.env.CLUSTER_SLOT);
`;

/** Answers with its pid and what it knows of its slot; at /echo with the path, as test/helpers/load.ts wants it. */
export const who = `(request, response) => response.end(
  request.url.startsWith('/echo') ? request.url : JSON.stringify({ pid: process.pid, slot: process.env.CLUSTER_SLOT }))`;

/** An app that listens by itself. */
export const slowApp = `${slowly}
const server = require('node:http').createServer(${who});
server.on('listening', () => console.log('listening', process.pid, 'slot', process.env.CLUSTER_SLOT));
server.listen(process.env.PORT, () => console.log('called back', process.pid, 'slot', process.env.CLUSTER_SLOT));
console.log('listen returned', process.pid, server.listening);
`;

/** The first one that waits and is none of those. */
export async function waits(cluster: TestCluster, others: readonly number[] = []): Promise<StandbyStatus> {
  let found: StandbyStatus | undefined;
  const until = performance.now() + 20_000;
  while (!found && performance.now() < until) {
    found = (await cluster.status()).standby.find(({ pid, state }) => state === 'loaded' && !others.includes(pid));
  }
  if (!found) throw new Error(`nobody waits\n${cluster.output}`);
  return found;
}

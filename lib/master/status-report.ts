import type { Bootstrap } from './bootstrap.js';
import type { Address } from '../ipc/messages.js';
import type { Child } from './processes/child.js';
import { inWindow } from './processes/refork-policy.js';
import type { ChildStatus, Status } from '../api/status.js';

/** Where the cluster really listens: the first address of the first worker that has one. */
export function addressOf({ workers }: Bootstrap): Address | null {
  for (const child of workers.ready()) if (child.addresses[0]) return child.addresses[0];
  return null;
}

/** An address as a person would type it. */
export function formatAddress({ protocol, host, port, path }: Address): string {
  if (path !== undefined) return `unix:${path}`;
  const anywhere = host === undefined || host === '::' || host === '0.0.0.0';
  const name = anywhere ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return `${protocol === 'http2' ? 'https' : protocol}://${name}:${port}`;
}

export function buildStatus(bootstrap: Bootstrap, version: string): Status {
  const { agents, workers, config } = bootstrap;
  const address = addressOf(bootstrap);
  const agent = agents.current;
  return {
    title: config.title,
    state: stateOf(bootstrap),
    address: address ? formatAddress(address) : null,
    version,
    node: process.versions.node,
    startedAt: bootstrap.startedAt.toISOString(),
    master: { pid: process.pid, rss: process.memoryUsage.rss() },
    agent: agent ? childStatus(agent, agents.restarts, agents.lastExit) : null,
    workers: workers.slots.flatMap((slot) => slot.children().map((child) => childStatus(child, slot.restarts, slot.lastExit))),
    refork: {
      inWindow: inWindow(workers.deaths, Date.now(), config.refork).length,
      limit: config.refork.limit,
      delays: Object.fromEntries(workers.slots.flatMap((slot) => slot.refork ? [[slot.index, slot.refork.delay]] : [])),
    },
    lastReload: bootstrap.lastReload,
    slowPaths: [],
  };
}

/** Degraded is running with fewer ready workers than wanted. */
function stateOf({ state, workers }: Bootstrap): Status['state'] {
  if (state === 'closing' || state === 'closed') return 'closing';
  if (state === 'reloading') return 'reloading';
  if (state !== 'running') return 'starting';
  return workers.slots.every((slot) => slot.ready) ? 'running' : 'degraded';
}

function childStatus(child: Child, restarts: number, lastExit: ChildStatus['lastExit']): ChildStatus {
  return {
    id: child.id,
    slot: child.slot,
    pid: child.pid,
    state: child.state,
    generation: child.generation,
    startedAt: new Date(child.startedAt).toISOString(),
    restarts,
    rss: null,
    cpu: null,
    eventLoopDelay: null,
    eventLoopUtilization: null,
    lastExit,
    ...(child.waiting && child.state === 'draining' ? { waiting: child.waiting } : {}),
  };
}

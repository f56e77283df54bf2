import type { ChildStatus, Launch, ReloadResult, Status } from '../api/control.js';
import type { ServiceState } from '../api/plugin.js';
import type { Address } from '../ipc/messages.js';
import type { Faults } from '../kit/faults.js';
import { ownRss } from '../kit/processes.js';
import { slowPaths } from '../node/slow-paths.js';
import type { Life } from './life.js';
import type { Child } from './processes/child.js';
import { inWindow, type Deaths } from './processes/refork-policy.js';
import type { Slot } from './processes/slot.js';
import type { Workers } from './processes/workers.js';
import type { Releases } from './releases.js';

/** What is reported on; the same objects as in the core. */
export interface Reported {
  readonly life: Life;
  readonly releases: Releases;
  readonly agent: Slot;
  readonly workers: Workers;
  readonly deaths: Deaths;
  readonly lastReload: ReloadResult | null;
  readonly cut: number;
  readonly version: string;
  readonly faults: Faults;
}

/** Where the cluster really listens: the first address of the first worker that has one. */
export function addressOf(workers: Workers): Address | null {
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

/** What a restart has to know of this master. */
export function launch({ releases, workers }: Pick<Reported, 'releases' | 'workers'>): Launch {
  const { port, path, plugins } = releases.current.loaded.config;
  return {
    env: releases.environment.given,
    node: { path: process.execPath, version: process.version },
    ppid: process.ppid,
    listen: { port, path },
    ports: Object.values(plugins).flatMap((given) => typeof given === 'object' && typeof given.port === 'number' ? [given.port] : []),
    address: addressOf(workers),
  };
}

export function buildStatus({ life, releases, agent, workers, deaths, lastReload, cut, version, faults }: Reported): Status {
  const { config } = releases.current.loaded;
  const address = addressOf(workers);
  const children = [agent, ...workers.slots].flatMap((slot) => slot.children());
  return {
    title: config.title,
    state: shownState(life.state, workers),
    address: address ? formatAddress(address) : null,
    version,
    node: process.versions.node,
    startedAt: life.startedAt.toISOString(),
    master: { pid: process.pid, rss: ownRss() },
    agent: agent.current ? childStatus(agent.current, agent) : null,
    workers: workers.all.flatMap((slot) => slot.children().map((child) => childStatus(child, slot))),
    refork: {
      inWindow: inWindow(deaths.times, Date.now(), config.refork).length,
      limit: config.refork.limit,
      delays: Object.fromEntries(workers.slots.flatMap(({ index, refork: { delay } }) => delay === null ? [] : [[index, delay]])),
    },
    lastReload,
    cut,
    faults: faults.count,
    slowPaths: [...new Set([...slowPaths(), ...children.flatMap((child) => [...child.slowPaths])])],
  };
}

/** Degraded is running with fewer ready workers than wanted. */
function shownState(state: ServiceState, workers: Workers): Status['state'] {
  if (state === 'closing' || state === 'closed') return 'closing';
  if (state === 'reloading') return 'reloading';
  if (state !== 'running') return 'starting';
  return workers.complete ? 'running' : 'degraded';
}

function childStatus(child: Child, { restarts, lastExit }: Slot): ChildStatus {
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
    ...(child.channel.dropped > 0 ? { dropped: child.channel.dropped } : {}),
    ...(child.waiting && child.state === 'draining' ? { waiting: child.waiting } : {}),
  };
}

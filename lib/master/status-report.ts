import type { ChildStatus, Launch, ReloadResult, StandbyStatus, Status } from '../api/control.js';
import type { Deadlines, ServiceState } from '../api/plugin.js';
import { LAST_LINES, type Address, type Served } from '../ipc/messages.js';
import type { Faults } from '../kit/faults.js';
import { ownRss } from '../kit/processes.js';
import { formatAddress } from '../kit/sockets.js';
import { slowPaths } from '../node/slow-paths.js';
import type { Routing } from './connections/routing.js';
import type { Life } from './life.js';
import type { Child } from './processes/child.js';
import type { Ducks } from './processes/departures.js';
import { inspectors } from './processes/exec-argv.js';
import { inWindow, type Deaths } from './processes/policies.js';
import type { Slot } from './processes/slot.js';
import { NO_SLOT, type Standbys } from './processes/spares.js';
import type { Workers } from './processes/workers.js';
import type { Releases } from './releases.js';

/** What is reported on; the same objects as in the core. */
export interface Reported {
  readonly life: Life;
  readonly releases: Releases;
  readonly agent: Slot;
  readonly workers: Workers;
  readonly deaths: Deaths;
  readonly ducks: Ducks;
  readonly standbys: Standbys;
  readonly lastReload: ReloadResult | null;
  readonly cut: number;
  readonly version: string;
  readonly faults: Faults;
  readonly routing: Routing;
  readonly deadlines: Deadlines;
  readonly options: { readonly hookTimeout: number };
}

/** Of what a close waits for beside hooks and children, ms: connections that are handed on, what children have left. */
const REST_OF_CLOSE = 10_000;

/** All that the workers serve, the cluster's own address first: the configured one, else one that speaks HTTP, else the first. */
export function addressesOf(workers: Workers): Address[] {
  const served = workers.ready().flatMap(({ addresses }) => addresses).sort((a, b) => rank(a) - rank(b));
  const texts = new Set<string>();
  return served.map(plain).filter((address) => texts.size < texts.add(formatAddress(address)).size);
}

const rank = ({ configured, protocol }: Served): number => configured ? 0 : protocol === 'tcp' ? 2 : 1;
const plain = ({ protocol, host, port, path }: Served): Address => path === undefined ? { protocol, host, port } : { protocol, path };

/** Where the cluster really listens; null as long as nothing does. */
export function addressOf(workers: Workers): Address | null {
  let first: Served | undefined;
  for (const { addresses } of workers.ready()) {
    for (const one of addresses) if (!first || rank(one) < rank(first)) first = one;
    if (first?.configured) break;
  }
  return first ? plain(first) : null;
}

/** What a restart has to know of this master. */
export function launch(
  { releases, workers, deadlines, options }: Pick<Reported, 'releases' | 'workers' | 'deadlines' | 'options'>,
): Launch {
  const { config, config: { port, path, plugins } } = releases.current.loaded;
  return {
    env: releases.environment.given,
    node: { path: process.execPath, version: process.version },
    ppid: process.ppid,
    listen: { port, path },
    ports: [
      ...Object.values(plugins).flatMap((given) => typeof given === 'object' && typeof given.port === 'number' ? [given.port] : []),
      ...inspectors(config, true).map((one) => one.port),
    ],
    address: addressOf(workers),
    // Gates before and after; workers and then the agent, each with its last lines.
    closesWithin: deadlines.shutdownDelay + deadlines.drain + deadlines.agent + 2 * (options.hookTimeout + LAST_LINES) + REST_OF_CLOSE,
  };
}

export function buildStatus({
  life, releases, agent, workers, deaths, ducks, standbys, lastReload, cut, version, faults, routing,
}: Reported): Status {
  const { config } = releases.current.loaded;
  const addresses = addressesOf(workers).map(formatAddress);
  const children = [agent, ...workers.slots].flatMap((slot) => slot.children());
  return {
    title: config.title,
    state: shownState(life.state, workers),
    address: addresses[0] ?? null,
    addresses,
    balance: routing.balance.used,
    balanceWhy: routing.balance.why,
    version,
    node: process.versions.node,
    startedAt: life.startedAt.toISOString(),
    master: { pid: process.pid, rss: ownRss() },
    agent: agent.current ? childStatus(agent.current, agent) : isEmpty(agent) && agent.pending ? emptyStatus(agent) : null,
    workers: [...workers.all].sort((a, b) => a.index - b.index).flatMap((slot) => [
      ...slot.children().map((child) => childStatus(child, slot)),
      ...(isEmpty(slot) && workers.slots.includes(slot) && !life.closing ? [emptyStatus(slot)] : []),
    ]),
    ducks: ducks.status(),
    standby: standbys.children().map(standbyStatus),
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

/** Nobody is in charge of it, or about to be. */
const isEmpty = ({ current, successor }: Slot): boolean => current === null && successor === null;

const UNMEASURED = { rss: null, cpu: null, eventLoopDelay: null, eventLoopUtilization: null };

function emptyStatus({ index, refork, pending, restarts, lastExit }: Slot): ChildStatus {
  return {
    id: null, slot: index, pid: null, state: 'waiting', generation: null, startedAt: null,
    forkIn: refork.forkIn ?? (pending ? 0 : null), endsInRow: refork.inRow, restarts, ...UNMEASURED, lastExit,
  };
}

const standbyStatus = ({ id, pid, slot, state, standsBy, generation, startedAt }: Child): StandbyStatus => ({
  id, pid, slot: slot === NO_SLOT ? null : slot,
  state: state === 'draining' || state === 'killing' ? state : standsBy ?? 'loading',
  generation, startedAt: new Date(startedAt).toISOString(), rss: null,
});

const stepsStatus = ({ steps }: Child) => steps.map(({ name, since }) => ({ name, age: Math.max(0, Date.now() - since) }));

function childStatus(child: Child, { restarts, lastExit }: Slot): ChildStatus {
  return {
    id: child.id,
    slot: child.slot,
    pid: child.pid,
    state: child.state,
    generation: child.generation,
    startedAt: new Date(child.startedAt).toISOString(),
    restarts,
    ...UNMEASURED,
    lastExit,
    ...(child.channel.dropped > 0 ? { dropped: child.channel.dropped } : {}),
    ...(child.steps.length > 0 && child.state === 'booting' ? { steps: stepsStatus(child) } : {}),
    ...(child.waiting && child.state === 'draining' ? { waiting: child.waiting } : {}),
  };
}

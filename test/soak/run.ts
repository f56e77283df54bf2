// The full figures of "nothing is lost" and "it stays up". `npm run soak -- [--node 20,22,24,26] [--only reload,stop,...] [--short]`
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import type { Scope } from '../helpers/cluster.js';
import { nodeBinary } from '../helpers/node-binary.js';
import { savesUnderLoad } from '../helpers/dev-saves.js';
import { killWorkers, scaleDown, slotSockets, stopInFlight, termWorkers } from './drains.js';
import { eventSources, socketIo, tokenStreams, webSockets } from './deploys.js';
import { faultsAtStart, injectedFaults } from './faults.js';
import { flat } from './flat.js';
import { busyWorkers, crashLoops, hangs, leak, overhead } from './health.js';
import { hostsSoak } from './hosts.js';
import { mutatedFrames } from './hostile.js';
import { oneProcess } from './one-process.js';
import { readySoak } from './ready.js';
import { messagesUnderKills, slowReceivers } from './messages.js';
import { manyReloads, reloadLatency, reloadsUnderLoad } from './reloads.js';
import { stickyKills, stickySessions, stickyTransfers } from './sticky.js';

const { values } = parseArgs({
  options: { node: { type: 'string' }, only: { type: 'string' }, short: { type: 'boolean', default: false } },
});
const mix = { keepAlive: 4, perConnection: 4, pipelined: 2, slow: 4, upload: 2, stream: 2, https: 2, http2: 4, sse: 2 };
const times = (full: number) => values.short ? Math.max(2, Math.round(full / 20)) : full;

const FEW = {
  connections: 1_000,
  times: { reloads: 20, 'failed reloads': 10, kills: 10, scales: 10, requests: 200, 'logs opened anew': 50 },
};

const scenarios: Record<string, (scope: Scope) => Promise<string>> = {
  reload: (scope) => reloadsUnderLoad(scope, { workers: 4, reloads: times(100), requests: times(300_000), mix, pause: 15 }),
  'reload-os': (scope) => reloadsUnderLoad(scope, {
    workers: 4, reloads: times(100), requests: times(300_000), mix, pause: 15, balance: 'os',
  }),
  stop: (scope) => stopInFlight(scope, { workers: 4, inFlight: 50, length: 2_000, idle: 20 }),
  scale: (scope) => scaleDown(scope, { from: 8, to: 2 }),
  'one-process': (scope) => oneProcess(scope, { times: times(40) }),
  'term-worker': (scope) => termWorkers(scope, { workers: 4, times: times(20) }),
  'kill-worker': (scope) => killWorkers(scope, { workers: 4, times: 20 }),
  'reuse-port': (scope) => slotSockets(scope, { workers: 4, reloads: times(100), kills: times(20) }),
  faults: (scope) => injectedFaults(scope, { runs: times(1_000), seed: 1 }),
  'faults-at-start': () => faultsAtStart({ runs: times(200), seed: 1 }),
  latency: (scope) => reloadLatency(scope, { workers: 4, runs: 5 }),
  dev: (scope) => savesUnderLoad(scope, times(200), 300),
  hangs: (scope) => hangs(scope, { times: times(20) }),
  'busy-workers': (scope) => busyWorkers(scope, { duration: values.short ? 15_000 : 120_000 }),
  leak: (scope) => leak(scope, { duration: values.short ? 10_000 : 60_000 }),
  'crash-loops': (scope) => crashLoops(scope, { duration: values.short ? 6_000 : 30_000 }),
  overhead: (scope) => overhead(scope, { rounds: values.short ? 8 : 30 }),
  'many-reloads': (scope) => manyReloads(scope, { reloads: times(1_000) }),
  flat: (scope) => flat(scope, values.short ? { ...FEW, workers: 4 } : {
    workers: 64, connections: 10_000,
    times: { reloads: 1_000, 'failed reloads': 100, kills: 100, scales: 100, requests: 2_000, 'logs opened anew': 200 },
  }),
  'flat-plugins': (scope) => flat(scope, {
    ...FEW, workers: 2, spares: 1, config: { workers: { min: 2, max: 4, quiet: 1_000 }, standby: 1, plugins: { overload: true } },
  }),
  'hostile-frames': (scope) => mutatedFrames(scope, { frames: values.short ? 10_000 : 100_000, perLife: 400, seed: Date.now() % 1e6 }),
  messages: (scope) => messagesUnderKills(scope, { workers: 8, kills: 2, reloads: 3, messages: times(100_000) }),
  'slow-receivers': (scope) => slowReceivers(scope, { duration: values.short ? 5_000 : 60_000 }),
  hosts: (scope) => hostsSoak(scope, values.short ? { rounds: 1, pause: 5_000 } : { rounds: 3, pause: 30_000 }),
  ready: (scope) => readySoak(scope, { reloads: times(50) }),
  'token-streams': (scope) => tokenStreams(scope, { streams: values.short ? 50 : 500, reloads: times(20), pause: 52_000 }),
  'web-sockets': (scope) => webSockets(scope, { sockets: 500, reloads: times(20), pause: 12_000 }),
  'event-sources': (scope) => eventSources(scope, { sources: 200, reloads: times(20), pause: 15_000 }),
  'socket-io': (scope) => socketIo(scope, { clients: 200, reloads: times(20), pause: 8_000 }),
  'sticky-sessions': (scope) => stickySessions(scope, { clients: 200, reloads: values.short ? 1 : 3, scale: [6, 3], kills: times(5) }),
  'sticky-transfers': (scope) => stickyTransfers(scope, { uploads: times(400), downloads: times(50) }),
  'sticky-kills': (scope) => stickyKills(scope, { rate: 2_000, kills: times(10) }),
};

async function one(name: string): Promise<boolean> {
  const cleanUps: (() => unknown)[] = [];
  const started = performance.now();
  try {
    const report = await scenarios[name]!({ after: (fn) => cleanUps.push(fn) });
    console.log(`ok ${name} (${Math.round((performance.now() - started) / 1000)} s)\n${report}\n`);
    return true;
  } catch (error) {
    console.log(`FAILED ${name}\n${(error as Error).message}\n`);
    return false;
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  }
}

const wanted = values.only?.split(',') ?? Object.keys(scenarios);
const unknown = wanted.find((name) => !Object.hasOwn(scenarios, name));
if (unknown) throw new Error(`no scenario "${unknown}"; there are ${Object.keys(scenarios).join(', ')}`);

// A process for each version: the helpers read TEST_NODE once.
if (values.node) {
  let failed = false;
  for (const major of values.node.split(',')) {
    console.log(`# node ${major}`);
    const args = [...process.execArgv, process.argv[1]!, '--only', wanted.join(','), ...(values.short ? ['--short'] : [])];
    if (spawnSync(process.execPath, args, { stdio: 'inherit', env: { ...process.env, TEST_NODE: nodeBinary(major) } }).status !== 0) {
      failed = true;
    }
  }
  process.exit(failed ? 1 : 0);
}

let good = true;
for (const name of wanted) good = await one(name) && good;
process.exit(good ? 0 : 1);

import type { Runtime } from '../../lib/runtime.js';
import { announceBlockingCalls } from './blocking-calls.js';
import { runChecks } from './checks.js';
import { Heartbeat } from './heartbeat.js';
import { countConnections, Requests } from './requests.js';

/** In a worker: samples, requests, readiness checks. */
export default function healthCheck(runtime: Runtime): void {
  const requests = new Requests(runtime, (now) => heartbeat.turned(now));
  const heartbeat = new Heartbeat(runtime, { requests: () => requests.total, connections: () => countConnections(runtime.servers) });
  announceBlockingCalls((call) => runtime.channel.send('health.blocking', call && { ...call, requests: requests.active() }));
  runtime.channel.on('health.check', ({ timeout }) => runChecks(runtime.healthChecks, timeout));
}

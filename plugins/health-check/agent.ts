import type { Runtime } from '../../lib/runtime.js';
import { announceBlockingCalls } from './blocking-calls.js';
import { Heartbeat } from './heartbeat.js';

/** In the agent: samples. It serves nobody, but it can hang like any other. */
export default function healthCheck(runtime: Runtime): void {
  new Heartbeat(runtime, { requests: () => 0, connections: () => Promise.resolve(0) });
  announceBlockingCalls((call) => runtime.channel.send('health.blocking', call && { ...call, requests: [] }));
}

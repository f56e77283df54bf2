import type { Runtime } from '../../lib/runtime.js';
import { tellAsEggCluster } from './child-lines.js';
import { prepare, type Given } from './framework.js';

export default function eggAgent(runtime: Runtime, options: Given): void {
  prepare(runtime, options);
  if (options.asEggCluster) tellAsEggCluster(runtime, 'agent_worker');
}

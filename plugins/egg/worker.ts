import type { FrameworkApplication, Runtime } from '../../lib/runtime.js';
import { tellAsEggCluster } from './child-lines.js';
import { arrange, listenForDebuggers, prepare, type Given } from './framework.js';

interface WorkerOptions extends Given {
  debugPort?: number;
  ports: readonly number[];
}

export default function eggWorker(runtime: Runtime, options: WorkerOptions): void {
  const { given, debugPort, ports, asEggCluster } = options;
  prepare(runtime, options);
  if (asEggCluster) tellAsEggCluster(runtime, 'app_worker');
  runtime.hooks.frameworkReady.tapPromise('egg', async (app, serving) => {
    if (serving === null) return;
    arrange(app, serving, given, ports[runtime.slot]);
    if (debugPort !== undefined) await listenForDebuggers(app as FrameworkApplication, debugPort, serving.host);
  });
}

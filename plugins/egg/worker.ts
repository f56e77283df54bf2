import { setTimeout as delay } from 'node:timers/promises';
import type { FrameworkApplication, FrameworkPart, Runtime } from '../../lib/runtime.js';
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
  closeWithoutAgent(runtime);
  runtime.hooks.frameworkReady.tapPromise('egg', async (app, serving) => {
    if (serving === null) return;
    arrange(app, serving, given, ports[runtime.slot]);
    if (debugPort !== undefined) await listenForDebuggers(app as FrameworkApplication, debugPort, serving.host);
  });
}

/** Milliseconds that an application has for its end once its agent is gone, as many as egg-cluster gives any; and between two looks. */
const WITHOUT_AGENT = { most: 5_000, look: 50 };

/**
 * A cluster-client whose leader has gone waits half a minute for another one before it closes, and a cluster that closes starts none
 * (test/integration/egg-agent-gone.test.ts).
 */
function closeWithoutAgent({ messenger, hooks, logger }: Runtime): void {
  let isGone = false;
  messenger.on('agent-pids', (pids) => { isGone = pids.length === 0; });
  hooks.frameworkMade.tap('egg', (part: FrameworkPart) => {
    const close = part.close?.bind(part);
    if (!close) return;
    part.close = async () => {
      const closed = Promise.resolve(close());
      const { most, look } = WITHOUT_AGENT;
      for (let waited = 0; waited < most; waited = isGone ? waited + look : 0) {
        if (await Promise.race([closed.then(() => true), delay(look, false)])) return;
      }
      closed.catch(() => {});
      logger.warn(`the application has not closed ${most}ms after its agent has gone: it is not waited for any longer`);
    };
  });
}

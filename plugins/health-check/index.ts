import type { Bootstrap, ForkSpec } from '../../lib/index.js';
import { definePlugin } from '../../lib/api/plugin.js';
import { explainDeaths } from './out-of-memory.js';
import { schema, type HealthCheckOptions } from './options.js';
import type { openPort as open } from './open-port.js';
import { pulsesOf } from './pulses.js';
import { Watchdog } from './watchdog.js';

export type { HealthCheckOptions } from './options.js';
// For the plugins that show what is known here.
export { pulsesOf };
export const openPort: typeof open = async (...args) => (await import('./open-port.js')).openPort(...args);

const NAME = 'health-check';
/** A leak may be fast: between two looks at a limited memory, ms. */
const MEMORY_INTERVAL = 500;

/** Notices what nobody else does: a worker that hangs, grows, or dies for lack of memory; and tells it to probes and people. */
export default definePlugin<HealthCheckOptions>({
  name: NAME,
  schema,
  async apply(bootstrap, options) {
    const { hooks, config } = bootstrap;
    const { hangTimeout, heapSnapshotNearLimit, port } = options;
    const pulses = pulsesOf(bootstrap);
    explainDeaths(bootstrap, pulses);

    const debugged = config.inspect !== false || config.inspectBrk !== false;
    if (hangTimeout !== false && !debugged) {
      pulses.interval = Math.min(pulses.interval, hangTimeout / 4);
      const watchdog = new Watchdog(bootstrap, pulses, { hangTimeout, snapshots: heapSnapshotNearLimit !== undefined });
      hooks.clusterReady.tap(NAME, () => watchdog.start());
      hooks.closed.tap(NAME, () => watchdog.stop());
    }
    if (heapSnapshotNearLimit !== undefined) {
      const prepare = ({ execArgv }: ForkSpec): void => { execArgv.push(`--heapsnapshot-near-heap-limit=${heapSnapshotNearLimit}`); };
      hooks.beforeForkWorker.tap(NAME, prepare);
      hooks.beforeForkAgent.tap(NAME, prepare);
    }

    await recycle(bootstrap, options);
    if (port !== undefined) await answerProbes(bootstrap, { ...options, port });
  },
});

async function recycle(bootstrap: Bootstrap, options: HealthCheckOptions): Promise<void> {
  const { maxRss, maxHeapUsed, maxRequests, maxAge, cron } = options;
  if ([maxRss, maxHeapUsed, maxRequests, maxAge, cron].every((limit) => limit === undefined)) return;
  if (maxRss !== undefined || maxHeapUsed !== undefined) pulsesOf(bootstrap).interval = Math.min(pulsesOf(bootstrap).interval, MEMORY_INTERVAL);
  const { Recycler } = await import('./recycler.js');
  const recycler = new Recycler(bootstrap, pulsesOf(bootstrap), options);
  if (cron === undefined) return;
  const { schedule } = await import('./schedule.js');
  bootstrap.hooks.closed.tap(NAME, await schedule(cron, () => recycler.recycleAll()));
}

async function answerProbes(bootstrap: Bootstrap, { port, host, quorum, checkTimeout }: HealthCheckOptions & { port: number }): Promise<void> {
  const { hooks, logger } = bootstrap;
  let close = (): void => {};
  const { Readiness } = await import('./readiness.js');
  const readiness = new Readiness(bootstrap, pulsesOf(bootstrap), { quorum, checkTimeout });
  bootstrap.route({ method: 'GET', path: '/livez', open: true, handler: () => ({ body: { alive: true } }) });
  bootstrap.route({ method: 'GET', path: '/readyz', open: true, handler: async () => {
    const verdict = await readiness.verdict();
    return { status: verdict.ready ? 200 : 503, body: verdict };
  } });
  bootstrap.route({ method: 'GET', path: '/status', open: true, handler: async () => ({ body: await bootstrap.status() }) });
  if (bootstrap.loaded.provenance['plugins.metrics']?.from === 'default') {
    const { default: metrics } = await import('../metrics/index.js');
    await bootstrap.applyPlugin(metrics, { host });
  }
  hooks.beforeStart.tapPromise(NAME, async () => {
    const opened = await openPort(bootstrap, NAME, { port, host });
    logger.info(`health checks on ${opened.url}`);
    close = opened.close;
  });
  hooks.closed.tap(NAME, () => close());
}

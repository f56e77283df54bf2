import { definePlugin, type ForkSpec, type Master, type Status } from '../../lib/index.js';
import { schema, type HealthCheckOptions } from './options.js';
import { explainDeaths } from './out-of-memory.js';
import { pulsesOf } from './pulses.js';
import { schedule, withCron } from './schedule.js';
import { Watchdog } from './watchdog.js';

export type { HealthCheckOptions } from './options.js';

const NAME = 'health-check';
/** A leak may be fast: between two looks at a limited memory, ms. */
const MEMORY_INTERVAL = 500;

/** Notices what nobody else does: a worker that hangs, grows, or dies for lack of memory; and tells it to probes and people. */
export default definePlugin<HealthCheckOptions>({
  name: NAME,
  schema: withCron(schema),
  async apply(master, options) {
    const { hooks, config } = master;
    const { hangTimeout, heapSnapshotNearLimit, port } = options;
    const pulses = pulsesOf(master);
    explainDeaths(master, pulses);

    const debugged = config.inspect !== false || config.inspectBrk !== false;
    if (hangTimeout !== false && !debugged) {
      pulses.interval = Math.min(pulses.interval, hangTimeout / 4);
      const watchdog = new Watchdog(master, pulses, { hangTimeout, snapshots: heapSnapshotNearLimit !== undefined });
      hooks.clusterReady.tap(NAME, () => watchdog.start());
      hooks.closed.tap(NAME, () => watchdog.stop());
    }
    if (heapSnapshotNearLimit !== undefined) {
      const prepare = ({ execArgv }: ForkSpec): void => { execArgv.push(`--heapsnapshot-near-heap-limit=${heapSnapshotNearLimit}`); };
      hooks.beforeForkWorker.tap(NAME, prepare);
      hooks.beforeForkAgent.tap(NAME, prepare);
    }

    await recycle(master, options);
    if (port !== undefined) await answerProbes(master, { ...options, port });
  },
});

async function recycle(master: Master, options: HealthCheckOptions): Promise<void> {
  const { maxRss, maxHeapUsed, maxRequests, maxAge, cron } = options;
  if ([maxRss, maxHeapUsed, maxRequests, maxAge, cron].every((limit) => limit === undefined)) return;
  if (maxRss !== undefined || maxHeapUsed !== undefined) pulsesOf(master).interval = Math.min(pulsesOf(master).interval, MEMORY_INTERVAL);
  const { Recycler } = await import('./recycler.js');
  const recycler = new Recycler(master, pulsesOf(master), options);
  if (cron === undefined) return;
  master.hooks.closed.tap(NAME, await schedule(cron, () => recycler.recycleAll()));
}

async function answerProbes(master: Master, options: HealthCheckOptions & { port: number }): Promise<void> {
  const { port, host, hosts, quorum, checkTimeout } = options;
  const { hooks, logger } = master;
  let close = (): void => {};
  const { Readiness } = await import('./readiness.js');
  const readiness = new Readiness(master, pulsesOf(master), { quorum, checkTimeout });
  master.route({ method: 'GET', path: '/livez', open: true, handler: () => ({ body: { alive: true } }) });
  master.route({ method: 'GET', path: '/readyz', open: true, handler: async () => {
    const verdict = await readiness.verdict();
    return { status: verdict.ready ? 200 : 503, body: verdict };
  } });
  if (options.status) {
    master.route({ method: 'GET', path: '/status', open: true, handler: async () => ({ body: withoutErrors(await master.status()) }) });
  }
  if (master.origin('plugins', 'metrics').from === 'default') {
    const { default: metrics } = await import('../metrics/index.js');
    await master.applyPlugin(metrics, { host, hosts });
  }
  hooks.beforeStart.tapPromise(NAME, async () => {
    const { openPort } = await import('./open-port.js');
    const opened = await openPort(master, NAME, { port, host, hosts });
    logger.info(`health checks on ${opened.url}`);
    close = opened.close;
  });
  hooks.closed.tap(NAME, () => close());
}

/** An error's text may have a path, a query or a secret in it: who reads the port need not be who may read the log. */
const withoutErrors = (status: Status): Status =>
  JSON.parse(JSON.stringify(status, (key, value: unknown) => key === 'error' ? undefined : value)) as Status;

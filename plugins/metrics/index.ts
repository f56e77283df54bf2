import { definePlugin } from '../../lib/index.js';
import { pulsesOf } from '../health-check/pulses.js';
import type { Counts } from './definitions.js';
import { schema, type MetricsOptions } from './options.js';

export type { MetricsOptions } from './options.js';

const NAME = 'metrics';

/** `GET /metrics` in Prometheus text. A scrape reads what the master knows already: it costs the workers nothing. */
export default definePlugin<MetricsOptions>({
  name: NAME,
  schema,
  apply(master, { port, host, hosts }) {
    const { hooks, logger } = master;
    const counts: Counts = { reloads: { ok: 0, aborted: 0 }, reforks: 0 };
    pulsesOf(master);
    hooks.reloaded.tap(NAME, ({ ok }) => { counts.reloads[ok ? 'ok' : 'aborted']++; });
    hooks.beforeRefork.tap(NAME, () => {
      counts.reforks++;
      return undefined;
    });
    master.route({ method: 'GET', path: '/metrics', open: true, handler: async () => {
      // The library is loaded by the first scrape: it has no part in the start.
      const { contentType, exposition } = await import('./exposition.js');
      return { headers: { 'Content-Type': contentType }, body: await exposition(await master.status(), counts) };
    } });
    if (port === undefined) return;
    let close = (): void => {};
    hooks.beforeStart.tapPromise(NAME, async () => {
      const { openPort } = await import('../health-check/open-port.js');
      const opened = await openPort(master, NAME, { port, host, hosts, serves: (path) => path === '/metrics' });
      logger.info(`metrics on ${opened.url}/metrics`);
      close = opened.close;
    });
    hooks.closed.tap(NAME, () => close());
  },
});

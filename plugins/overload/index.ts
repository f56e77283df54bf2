import { definePlugin, workerRange, type ChildView, type Config } from '../../lib/index.js';
import { Entrance } from './entrance.js';
import { Loads } from './loads.js';
import { schema, type OverloadOptions } from './options.js';
import type { WorkerOptions } from './worker.js';

const NAME = 'overload';

declare module '../../lib/index.js' {
  interface Shared {
    /** For whoever asks whether a worker counts as ready: why it does not, or null. */
    'overload.reason': (child: ChildView) => string | null;
  }
}

/** How many workers accept from one socket. */
const sharers = (config: Config): number => config.balance === 'os' ? workerRange(config)?.max ?? config.workers : 1;

/** More comes than can be answered: what is answered is answered as fast as ever, and the rest is told so at once. */
export default definePlugin<OverloadOptions>({
  name: NAME,
  schema,
  apply(master, options) {
    const { hooks, config, logger } = master;
    const why = config.plugins['dev-reload'] ? 'in development'
      : config.inspect !== false || config.inspectBrk !== false ? 'under a debugger' : undefined;
    if (why !== undefined) return logger.info(`overload: nothing is shed ${why}`);
    const { target, interval, requests, retryAfter, never, rules } = options;
    const loads = new Loads(master);
    const entrance = new Entrance(master, loads, options);
    if (options.route || options.acceptor) {
      master.routeConnections({
        prepare: (client, admit, drop, at) => entrance.prepare(client, admit, drop, at),
        ...(options.route ? { pick: (_client, _unavailable, _note, at) => loads.pick(at) } : {}),
      });
    }
    if (options.readiness) master.share('overload.reason', (child) => loads.reason(child));
    master.inject('worker', new URL('./worker.cjs', import.meta.url),
      { target, interval, requests, retryAfter, never, rules, sharers: sharers(config) } satisfies WorkerOptions);
    hooks.collectStatus.tap(NAME, (status) => loads.tell(status, entrance.counts));
    hooks.closed.tap(NAME, () => entrance.close());
  },
});

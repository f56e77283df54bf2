import { definePlugin } from '../../lib/index.js';
import { schema, type GracefulExitOptions } from './options.js';

export type { GracefulExitOptions } from './options.js';

const part = (name: string) => new URL(`./${name}.cjs`, import.meta.url);

/** No request is lost by stop, reload, scale, a worker's SIGTERM or an uncaught exception, with no code in the app. */
export default definePlugin<GracefulExitOptions>({
  name: 'graceful-exit',
  schema,
  apply(master, options) {
    Object.assign(master.deadlines, {
      drain: options.timeout,
      streams: options.streamTimeout,
      agent: options.agentTimeout,
      shutdownDelay: options.shutdownDelay,
      uncaught: options.uncaughtTimeout,
    });
    let moved = 0;
    master.hooks.workerForked.tap('graceful-exit', ({ channel }) => {
      channel.on('drain.moved', (count) => { moved += count; }, (value) => Number.isSafeInteger(value) && (value as number) > 0);
    });
    master.hooks.collectStatus.tap('graceful-exit', (status) => ({ ...status, moved }));
    master.inject('worker', part('worker'), options);
    master.inject('agent', part('agent'), options, { passive: true });
  },
});

declare module '../../lib/index.js' {
  interface InternalMessages {
    /** So many event streams were ended whose clients come back by themselves. */
    'drain.moved': { from: 'worker'; to: 'master'; data: number };
  }
}

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
      agent: options.agentTimeout,
      shutdownDelay: options.shutdownDelay,
      uncaught: options.uncaughtTimeout,
    });
    master.inject('worker', part('worker'), options);
    master.inject('agent', part('agent'), options, { passive: true });
  },
});

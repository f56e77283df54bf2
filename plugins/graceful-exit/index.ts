import { pathToFileURL } from 'node:url';
import { definePlugin } from '../../lib/api/plugin.js';
import { built } from '../../lib/kit/package.js';
import { schema, type GracefulExitOptions } from './options.js';

export type { GracefulExitOptions } from './options.js';

const part = (name: string) => pathToFileURL(built(`plugins/graceful-exit/${name}.cjs`)).href;

/** No request is lost by stop, reload, scale, a worker's SIGTERM or an uncaught exception, with no code in the app. */
export default definePlugin<GracefulExitOptions>({
  name: 'graceful-exit',
  schema,
  apply(bootstrap, options) {
    Object.assign(bootstrap.deadlines, {
      drain: options.timeout,
      agent: options.agentTimeout,
      shutdownDelay: options.shutdownDelay,
      uncaught: options.uncaughtTimeout,
    });
    bootstrap.inject('worker', part('worker'), options);
    bootstrap.inject('agent', part('agent'), options, { passive: true });
  },
});

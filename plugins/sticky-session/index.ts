import { pathToFileURL } from 'node:url';
import { definePlugin } from '../../lib/plugin.js';
import { built } from '../../lib/package-root.js';
import { connectionRouting } from './connection-mode.js';
import { schema, type StickyOptions } from './options.js';

export type { StickyOptions } from './options.js';

const part = pathToFileURL(built('plugins/sticky-session/worker.cjs')).href;

/** The same client always reaches the same slot, whatever becomes of the others. */
export default definePlugin<StickyOptions>({
  name: 'sticky-session',
  schema,
  apply(bootstrap, options) {
    if (options.mode === 'connection') {
      bootstrap.hooks.configResolved.tap('sticky-session', (config) => {
        if (config.balance === 'round-robin') return config;
        bootstrap.logger.warn(`sticky-session: \`balance\` is "round-robin" in mode "connection", not "${config.balance}": the master has to see each connection`);
        return { ...config, balance: 'round-robin' };
      });
      bootstrap.routeConnections(connectionRouting(bootstrap, options));
    }
    bootstrap.inject('worker', part, options);
  },
});

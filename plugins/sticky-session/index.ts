import { randomBytes } from 'node:crypto';
import { definePlugin, type ChildView } from '../../lib/index.js';
import { connectionRouting } from './connection-mode.js';
import { isStickySample, type StickySample } from './messages.js';
import { schema, socketDefaults, type StickyOptions } from './options.js';
import { Owners } from './request-mode.js';
import { slotSockets } from './slot-sockets.js';
import type { WorkerOptions } from './worker.js';

export type { StickyOptions } from './options.js';

const part = new URL('./worker.cjs', import.meta.url);

/** The same client always reaches the same slot, whatever becomes of the others. */
export default definePlugin<StickyOptions>({
  name: 'sticky-session',
  schema,
  apply(master, options) {
    const { hooks, logger } = master;
    const samples = new WeakMap<ChildView, StickySample>();

    if (options.mode === 'connection') {
      hooks.configResolved.tap('sticky-session', (config) => {
        if (config.balance === 'round-robin' || config.balance === 'auto') return config;
        logger.warn(`sticky-session: \`balance\` is "round-robin" in mode "connection", not "${config.balance}": `
          + 'the master has to see each connection');
        return { ...config, balance: 'round-robin' };
      });
      master.routeConnections(connectionRouting(master, options));
    }
    if (options.perSlotSocket !== false) slotSockets(master, options.perSlotSocket === true ? socketDefaults : options.perSlotSocket);
    if (options.mode === 'request') new Owners(master);
    const secret = options.secret ?? randomBytes(32).toString('base64url');
    master.inject('worker', part, { options: { ...options, secret } } satisfies WorkerOptions);

    hooks.workerForked.tap('sticky-session', (child) => {
      child.channel.on('sticky-session.sample', (sample) => { samples.set(child, sample); }, isStickySample);
    });
    hooks.collectStatus.tap('sticky-session', (status) => {
      const living = new Map<number | null, ChildView>(master.children().map((child) => [child.pid, child]));
      const workers = status.workers.map((worker) => {
        const sample = samples.get(living.get(worker.pid) as ChildView);
        return sample ? { ...worker, sticky: sample } : worker;
      });
      return { ...status, workers };
    });
  },
});

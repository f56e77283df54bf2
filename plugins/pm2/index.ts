import { definePlugin } from '../../lib/index.js';
import { schema, type Pm2Options } from './options.js';

export type { Pm2Options } from './options.js';

/** What apps written for PM2 rely on; `framework import pm2` turns it on. */
export default definePlugin<Pm2Options>({
  name: 'pm2',
  schema,
  apply(master, options) {
    const { instanceVar, incrementVar } = options;
    master.hooks.beforeForkWorker.tap('pm2', ({ env, slot }) => {
      // One that stands by for any slot has none yet.
      if (slot < 0) return;
      env[instanceVar] = String(slot);
      if (incrementVar === undefined) return;
      const first = Number(env[incrementVar] ?? process.env[incrementVar]);
      const isAnyPort = incrementVar === 'PORT' && first === 0;
      if (Number.isFinite(first) && !isAnyPort) env[incrementVar] = String(first + slot);
    });
    master.inject('worker', new URL('./worker.cjs', import.meta.url), options);
  },
});

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
      env[instanceVar] = String(slot);
      const first = incrementVar === undefined ? NaN : Number(env[incrementVar] ?? process.env[incrementVar]);
      if (incrementVar !== undefined && Number.isFinite(first)) env[incrementVar] = String(first + slot);
    });
    master.inject('worker', new URL('./worker.cjs', import.meta.url), options);
  },
});

import { definePlugin, memoryLimit, type WorkerRange } from '../../lib/index.js';
import { pulsesOf } from '../health-check/pulses.js';
import { rangeSchema } from './options.js';
import { Scaler } from './scaler.js';

const NAME = 'adaptive-workers';

/** As many workers as the load asks for, within the range that `workers` is. */
export default definePlugin<WorkerRange>({
  name: NAME,
  schema: rangeSchema,
  apply(master, range) {
    const { config, logger } = master;
    const why = config.plugins['dev-reload'] ? 'in development'
      : config.inspect !== false || config.inspectBrk !== false ? 'under a debugger' : undefined;
    if (why !== undefined) return logger.info(`workers: ${range.min}, and none more by the load ${why}`);
    master.inject('worker', new URL('./worker.cjs', import.meta.url));
    void new Scaler(NAME, master, pulsesOf(master), range, memoryLimit);
  },
});

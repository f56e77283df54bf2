import { definePlugin, memoryLimit, type WorkerRange } from '../../lib/index.js';
import { pulsesOf } from '../health-check/pulses.js';
import { schema } from './options.js';
import { Scaler } from './scaler.js';

const NAME = 'adaptive-workers';

/** As many workers as the load asks for, within the range that `workers` is. */
export default definePlugin<WorkerRange>({
  name: NAME,
  schema,
  apply(master, range) {
    const { hooks, config, logger } = master;
    const why = config.plugins['dev-reload'] ? 'in development'
      : config.inspect !== false || config.inspectBrk !== false ? 'under a debugger' : undefined;
    if (why !== undefined) return logger.info(`workers: ${range.min}, and none more by the load ${why}`);
    const scaler = new Scaler(master, pulsesOf(master), range, memoryLimit);
    master.inject('worker', new URL('./worker.cjs', import.meta.url));
    hooks.clusterReady.tap(NAME, () => scaler.start());
    hooks.beforeScale.tap(NAME, (from, to) => scaler.refuses(from, to));
    hooks.scaled.tap(NAME, (from, to) => scaler.scaled(from, to));
    hooks.scaleChanged.tap(NAME, (from, to) => scaler.failed(from, to));
    hooks.reloaded.tap(NAME, () => scaler.renewed());
    hooks.beforeClose.tap(NAME, () => scaler.stop());
    hooks.collectStatus.tap(NAME, (status) => scaler.tell(status));
  },
});

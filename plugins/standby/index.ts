import { definePlugin } from '../../lib/index.js';
import { schema, type StandbyOptions } from './options.js';
import { Reserve } from './reserve.js';

const NAME = 'standby';

/** Never cold: workers that have loaded the app, and listen nowhere until a slot needs one. */
export default definePlugin<StandbyOptions>({
  name: NAME,
  schema,
  apply(master) {
    const { hooks, config, logger } = master;
    const why = config.plugins['dev-reload'] ? 'in development, where each save makes old what they have loaded'
      : config.inspect !== false || config.inspectBrk !== false ? 'under a debugger' : undefined;
    if (why !== undefined) return logger.info(`standby: none ${why}`);
    const reserve = new Reserve(master);
    hooks.fillSlot.tap(NAME, (spec) => reserve.take(spec));
    hooks.clusterReady.tap(NAME, () => reserve.open());
    hooks.standbyReady.tap(NAME, (child) => reserve.loaded(child));
    hooks.adopted.tap(NAME, (child) => reserve.gone(child));
    hooks.workerReady.tap(NAME, () => reserve.fillSoon());
    hooks.workerExit.tap(NAME, (child, exit) => reserve.ended(child, exit));
    hooks.scaleChanged.tap(NAME, () => reserve.fillSoon());
    hooks.reloaded.tap(NAME, () => reserve.renew());
    hooks.beforeClose.tap(NAME, () => reserve.close());
    master.share('standby', { makeRoom: () => reserve.makeRoom() });
  },
});

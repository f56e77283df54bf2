import { definePlugin } from '../../lib/index.js';
import { schema, type DevReloadOptions } from './options.js';
import { PageServer } from './page-server.js';
import { Session } from './session.js';
import { createTerminal } from './terminal.js';
import { Watcher } from './watcher.js';

export type { DevReloadOptions } from './options.js';

const part = (name: string) => new URL(`./${name}.cjs`, import.meta.url);

/** A worker that leaves for new code gets this long to answer what is in flight, and at Ctrl-C this long; ms. */
const DRAIN = 2_000;
const DRAIN_AT_END = 300;
/** The watching begins with the first ready worker, or after this long: a start may hang. ms. */
const WATCH_AFTER = 1_000;

/** `framework dev`: a save is answered by new code at once; what does not start is shown where one looks. */
export default definePlugin<DevReloadOptions>({
  name: 'dev-reload',
  schema,
  apply(master, options) {
    const { hooks } = master;
    const terminal = createTerminal(master);
    const session = new Session(master, options, terminal, new PageServer(master.config));
    const since = Date.now();
    let watcher: Watcher | null = null;
    let closeKeys: (() => void) | undefined;

    const begin = master.guard('watching', (task: () => Promise<void>) => task());
    const watch = master.guard('watching', () => {
      if (watcher || master.closing) return;
      const { target, files } = master;
      const watching = watcher = new Watcher({ ...options, dir: target.realDir, files, since }, {
        changed: (file) => session.changed(file),
        notice: (line) => terminal.warn(line),
      });
      session.settle = (files) => watching.settle(files);
      const started = performance.now();
      void begin(async () => {
        const count = await watching.start();
        master.logger.debug(`watching ${count} files (${Math.round(performance.now() - started)}ms)`);
      });
    });

    master.spares.enabled = options.spare;
    master.fillsLeftSlots = true;
    master.inject('worker', part('worker'));
    master.inject('agent', part('agent'), {}, { passive: true });
    // Only round-robin lets connections wait in the master.
    hooks.configResolved.tap('dev-reload', (config) => config.balance === 'round-robin' ? config : { ...config, balance: 'round-robin' });
    for (const hook of [hooks.beforeForkAgent, hooks.beforeForkWorker]) hook.tap('dev-reload', ({ execArgv }) => {
      execArgv.push('--enable-source-maps');
      // An inspector that is opened to see where a start hangs is nobody else's business.
      if (master.config.inspect === false && master.config.inspectBrk === false) execArgv.push('--inspect-publish-uid=http');
    });
    hooks.beforeStart.tap('dev-reload', () => {
      Object.assign(master.deadlines, { drain: DRAIN, streams: 0, agent: DRAIN_AT_END, shutdownDelay: 0, uncaught: DRAIN });
      session.expectReady();
      setTimeout(watch, WATCH_AFTER).unref();
      closeKeys = master.onLine((line) => { if (line === 'rs') session.ask('rs'); });
    });
    hooks.workerReady.tap('dev-reload', () => {
      session.recovered();
      // The first answers come first.
      setTimeout(watch, 20).unref();
    });
    hooks.clusterReady.tap('dev-reload', () => {
      session.changes.started();
      terminal.ready(master.address ?? 'no address', Date.now() - master.startedAt.getTime());
    });
    hooks.workerExit.tap('dev-reload', (child, exit) => session.exited(child, exit));
    hooks.agentExit.tap('dev-reload', (child, exit) => session.exited(child, exit));
    hooks.startFailed.tap('dev-reload', (error) => {
      session.startFailed(error);
      watch();
      return 'stay';
    });
    hooks.beforeRefork.tap('dev-reload', (child, exit) => {
      session.crashed(child, exit);
      return 'leave';
    });
    hooks.reachReforkLimit.tap('dev-reload', () => 'degrade');
    hooks.message.tap('dev-reload', ({ action, to }) => {
      if (action !== 'reload-worker' || (to !== undefined && to !== 'master')) return undefined;
      session.ask('reload-worker');
      return false;
    });
    hooks.beforeClose.tap('dev-reload', async () => {
      master.deadlines.drain = DRAIN_AT_END;
      session.end();
      closeKeys?.();
      await watcher?.close();
    });
  },
});

import { definePlugin } from '../../lib/index.js';
import { letters } from './letters.js';
import { schema, type DevReloadOptions } from './options.js';
import { PageServer } from './page-server.js';
import { Session } from './session.js';
import { createTerminal } from './terminal.js';
import { Uses } from './uses.js';
import { Watcher } from './watcher.js';

export type { DevReloadOptions } from './options.js';

const part = (name: string) => new URL(`./${name}.cjs`, import.meta.url);

/** A worker that leaves for new code gets this long to answer what is in flight, and at Ctrl-C this long; ms. */
const DRAIN = 2_000;
const DRAIN_AT_END = 300;
/** The watching begins when the first ready worker has told what it is made of, or this long after it was ready, ms. */
const UNTOLD = 300;
/** Or this long after the start, which may hang, ms. */
const WATCH_AFTER = 1_000;
/** The system dates a file by a clock that goes in steps of up to so many ms: a save may look older than it is. */
const COARSE = 10;

/** `framework dev`: a save is answered by new code at once; what does not start is shown where one looks. */
export default definePlugin<DevReloadOptions>({
  name: 'dev-reload',
  schema,
  apply(master, options) {
    const { hooks } = master;
    const terminal = createTerminal(master);
    const uses = new Uses(master, () => told());
    const session = new Session(master, options, { terminal, page: new PageServer(master.config), uses });
    const startedAt = Date.now();
    let readyAt = startedAt;
    let watcher: Watcher | null = null;
    let closeKeys: (() => void) | undefined;

    const begin = master.guard('watching', (task: () => Promise<unknown>) => task());
    const watch = master.guard('watching', () => {
      if (watcher || master.closing) return;
      const { target, files } = master;
      const watching = watcher = new Watcher({ ...options, dir: target.realDir, files }, {
        changed: (file) => session.saves.changed(file),
        // What nobody has loaded and was written while the app started, it has most likely written itself.
        since: (file) => uses.has(file) || files.includes(file) || file === target.entry.app ? startedAt : readyAt - COARSE,
        failing: () => session.failing,
        notice: (line) => terminal.warn(line),
      });
      session.saves.settle = (files) => watching.settle(files);
      const started = performance.now();
      void begin(async () => {
        await watching.use(uses.all());
        const count = await watching.start();
        master.logger.debug(`watching ${count} files (${Math.round(performance.now() - started)}ms)`);
        await watching.read();
      });
    });
    const told = () => {
      if (watcher) void begin(async () => watcher?.use(uses.all()));
      else if (readyAt > startedAt) watch();
    };

    master.spares.enabled = options.spare;
    master.fillsLeftSlots = true;
    master.inject('worker', part('worker'));
    master.inject('agent', part('agent'), {}, { passive: true });
    // Only round-robin lets connections wait in the master.
    hooks.configResolved.tap('dev-reload', (config) => config.balance === 'round-robin' ? config : { ...config, balance: 'round-robin' });
    if (terminal.isForPerson) {
      hooks.configResolved.tap('dev-reload', (config) =>
        config.log.format === 'text' ? { ...config, log: { ...config.log, format: 'short' as const } } : config);
    }
    for (const hook of [hooks.beforeForkAgent, hooks.beforeForkWorker]) hook.tap('dev-reload', ({ execArgv }) => {
      execArgv.push('--enable-source-maps');
      // An inspector that is opened to see where a start hangs is nobody else's business.
      if (master.config.inspect === false && master.config.inspectBrk === false) execArgv.push('--inspect-publish-uid=http');
    });
    hooks.beforeStart.tap('dev-reload', () => {
      Object.assign(master.deadlines, { drain: DRAIN, streams: DRAIN, agent: DRAIN_AT_END, shutdownDelay: 0, uncaught: DRAIN });
      session.expectReady();
      session.saves.started();
      setTimeout(watch, WATCH_AFTER).unref();
      closeKeys = master.onLine(letters(master, terminal, () => session.ask('rs')));
    });
    hooks.workerReady.tap('dev-reload', () => {
      session.recovered();
      if (readyAt > startedAt) return;
      readyAt = Date.now();
      setTimeout(watch, UNTOLD).unref();
    });
    hooks.clusterReady.tap('dev-reload', () => {
      session.saves.finished();
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
    hooks.message.tap({ name: 'dev-reload', actions: ['reload-worker'] }, ({ action, to }) => {
      if (action !== 'reload-worker' || (to !== undefined && to !== 'master')) return undefined;
      session.askForWorkers();
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

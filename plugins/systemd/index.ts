import { definePlugin, type Master, type Status } from '../../lib/index.js';
import { takeOrders, type Orders } from './environment.js';
import { schema } from './options.js';

const NAME = 'systemd';
/** STATUS= is not said more often, ms. */
const STATUS_PAUSE = 1_000;

/** Under systemd: says how the service is, and serves on the sockets that systemd has opened. Anywhere else it does nothing. */
export default definePlugin({
  name: NAME,
  schema,
  async apply(master) {
    const orders = takeOrders(process.env);
    if (orders.sockets.length > 0) await inherit(master, orders.sockets);
    if (orders.notifySocket !== null) await notify(master, orders.notifySocket, orders.watchdog);
  },
});

async function inherit(master: Master, sockets: Orders['sockets']): Promise<void> {
  const { boundTo } = await import('./socket-names.js');
  const { logger, inheritedSockets } = master;
  for (const { fd, name } of sockets) {
    const address = boundTo(fd);
    if (address === null) logger.warn(`systemd passed descriptor ${fd} (${name}), which is no listening TCP or unix socket`);
    else inheritedSockets[address] ??= fd;
  }
  master.hooks.beforeStart.tap(NAME, ({ port, path }) => {
    const wanted = path ?? String(port);
    const [only, ...others] = Object.entries(inheritedSockets);
    // With a single socket there is no doubt what it is for, whatever the configuration says.
    if (only && others.length === 0 && only[0] !== wanted) {
      inheritedSockets[wanted] = only[1];
      logger.info(`systemd's socket ${only[0]} is served in place of ${wanted}`);
    } else {
      logger.info(`serving systemd's sockets: ${Object.keys(inheritedSockets).join(', ')}`);
    }
  });
}

async function notify(master: Master, socket: string, watchdog: number | null): Promise<void> {
  const { Notifier } = await import('./notifier.js');
  const { hooks, logger } = master;
  const notifier = new Notifier(socket, logger);
  const timers: NodeJS.Timeout[] = [];
  let pending: NodeJS.Timeout | undefined;
  /** Soon, and for all that changes until then. */
  const tell = (): void => {
    pending ??= setTimeout(master.guard('telling the status', async () => {
      pending = undefined;
      const status = await master.status();
      if (!master.closing) notifier.say(`STATUS=${describe(status)}`);
    }), STATUS_PAUSE).unref();
  };

  hooks.clusterReady.tap(NAME, async () => {
    notifier.say('READY=1', `STATUS=${describe(await master.status())}`);
    if (watchdog === null) return;
    const beat = async (): Promise<void> => { if (isHealthy(await master.status(), watchdog)) notifier.say('WATCHDOG=1'); };
    timers.push(setInterval(master.guard('the watchdog\'s beat', beat), watchdog / 2).unref());
  });
  hooks.workerReady.tap(NAME, tell);
  hooks.workerExit.tap(NAME, tell);
  hooks.scaleChanged.tap(NAME, tell);
  hooks.beforeReload.tapPromise(NAME, async (reason) => {
    // systemd compares it with its own monotonic clock, which is hrtime's.
    notifier.say('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`, `STATUS=reloading (${reason})`);
    return undefined;
  });
  hooks.reloaded.tap(NAME, ({ ok, error = '' }) =>
    notifier.say('READY=1', `STATUS=${ok ? 'reloaded' : `reload aborted: ${oneLine(error)}`}`));
  hooks.beforeClose.tap(NAME, (reason) => {
    for (const timer of timers) clearInterval(timer);
    clearTimeout(pending);
    notifier.say('STOPPING=1', `STATUS=closing (${reason})`);
  });
  hooks.closed.tapPromise(NAME, () => notifier.said);
}

/** At least one worker is ready, and has been heard of within the watchdog's own time (ms) where health-check listens. */
export function isHealthy({ workers }: Status, watchdog: number): boolean {
  return workers.some(({ state, lastSample }) => state === 'ready' && (typeof lastSample !== 'number' || lastSample < watchdog));
}

function describe({ state, workers, address }: Status): string {
  const ready = workers.filter((worker) => worker.state === 'ready').length;
  return oneLine(`${state}, ${ready} worker${ready === 1 ? '' : 's'} ready${address ? `, ${address}` : ''}`);
}

const oneLine = (text: string): string => text.split('\n')[0]?.slice(0, 200) ?? '';

import { atMost, stepOf, type Runtime } from '../../lib/runtime.js';
import type { Pm2Options } from './options.js';

export default function pm2Worker(runtime: Runtime, options: Pm2Options): void {
  if (options.incrementVar === 'PORT') expectOwnPort(runtime);
  if (options.waitReady) waitForReady(runtime, options.listenTimeout);
  if (options.shutdownMessage) runtime.onClose(() => sendShutdown(runtime), 'the message "shutdown"');
}

/** What this worker is there for is the port that PORT tells it, and not that of the first slot, which would be waited for. */
function expectOwnPort({ hooks }: Runtime): void {
  const port = Number(process.env.PORT);
  hooks.boot.tap('pm2', ({ listen }) => { if (Number.isInteger(port)) listen.port = port; });
}

/** As PM2 has it: the word of the app, or so many ms after it listens without it. */
function waitForReady({ hooks, logger }: Runtime, listenTimeout: number): void {
  const { send } = process;
  if (!send) return;
  const done = stepOf('process.send(\'ready\')', {}, () => {});
  let timer: NodeJS.Timeout | undefined;
  process.send = function hear(this: NodeJS.Process, ...args: unknown[]) {
    if (args[0] === 'ready') {
      clearTimeout(timer);
      done();
    }
    return Reflect.apply(send as (...args: unknown[]) => boolean, this, args);
  };
  hooks.listening.tap('pm2', () => {
    timer ??= setTimeout(() => {
      logger.warn(`process.send('ready') has not come within ${listenTimeout} ms of the listen: taken for ready`);
      done();
    }, listenTimeout);
  });
}

/** Milliseconds that an app has for what it does then, as PM2's `kill_timeout` is by itself. */
const PATIENCE = 1_600;

/** Who listens ends the process by itself. */
async function sendShutdown({ boot: { timeout } }: Runtime): Promise<void> {
  process.emit('message', 'shutdown', undefined);
  await atMost(Math.min(PATIENCE, timeout), new Promise(() => {}));
}

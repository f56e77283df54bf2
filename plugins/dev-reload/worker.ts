import type { Server } from 'node:net';
import { isUpgraded, openSockets, wire, type ListenOptions, type Runtime } from '../../lib/runtime.js';
import { tellLoaded } from './loaded.js';
import { tellWritten } from './written.js';

/** How often a worker that leaves looks for connections that have become idle, ms. */
const LOOK = 15;

/** In a worker: tells the master of its end in words, and leaves fast. */
export default function devReload(runtime: Runtime<'worker'>): void {
  // The master shows it, with the code around it.
  runtime.printsFailure = false;
  tellLoaded(runtime);
  tellWritten((file) => { runtime.channel.send('dev.wrote', file); });
  if (runtime.config.workers === 1) runtime.hooks.listen.tap('dev-reload', (_, options) => letWait(options));
  process.on('uncaughtExceptionMonitor', (error) => {
    if (!runtime.ready) return;
    runtime.channel.sendLast('child.failed', { phase: 'run', error: wire(error) });
  });
  runtime.signal.addEventListener('abort', () => {
    const leave = () => {
      // After a stop there is no other worker to go to.
      if (runtime.signal.reason !== 'stop') void runtime.giveBackIdle();
      for (const server of runtime.servers) {
        endUpgraded(server);
        if (runtime.signal.reason === 'stop' || 'setSecureContext' in server) closeIdle(server);
      }
    };
    leave();
    setInterval(leave, LOOK).unref();
  }, { once: true });
}

/**
 * Whoever listens alone takes its port along, and nobody could wait there for the next one. Of one worker the master may have it:
 * nobody else asks.
 */
function letWait(options: ListenOptions): void {
  if (options.path === undefined && !(Number(options.port) > 0)) return;
  delete options.exclusive;
  delete options.reusePort;
}

/** http.Server's own; graceful-exit makes the server's a gentle one. */
function closeIdle(server: object): void {
  const close: unknown = Reflect.get(Object.getPrototypeOf(server) as object, 'closeIdleConnections');
  if (typeof close === 'function') Reflect.apply(close, server, []);
}

/** WebSockets and the like would keep old code up; their clients connect again. */
function endUpgraded(server: Server): void {
  if (!('closeIdleConnections' in server)) return;
  for (const socket of openSockets(server)) if (isUpgraded(socket)) socket.destroySoon();
}

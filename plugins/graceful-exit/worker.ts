import cluster from 'node:cluster';
import type { Server } from 'node:net';
import type { ClosingContext, RequestInFlight, Runtime } from '../../lib/runtime.js';
import { FIRST, closingAnswers } from './connection-close.js';
import { drain, isReplaced, type Reason } from './drain.js';
import { oldest, told } from './in-flight.js';
import type { GracefulExitOptions } from './options.js';
import { ServerDrain } from './server-drain.js';
import { onUncaught } from './uncaught.js';
import { WebSockets } from './web-sockets.js';

/**
 * After an uncaught exception in the one process of `--workers 0`: so long (ms) a request that nothing moves on is waited for. The one
 * that has thrown never gets its answer, and nobody else serves meanwhile.
 */
const UNANSWERED = 5_000;

/** In a worker: drains its servers when it closes, and makes an uncaught exception close it. */
export default function gracefulExit(runtime: Runtime<'worker'>, options: GracefulExitOptions): void {
  const known = new WeakMap<Server, ServerDrain>();
  const listening = new Set<ServerDrain>();
  const webSockets = new WebSockets();
  let closing = false;
  let crashed = false;

  // What is sent on to another worker is seen as well.
  runtime.hooks.upgrade.tap(FIRST, (request, socket) => { webSockets.upgrades(request, socket); });
  runtime.hooks.server.tap('graceful-exit', (server) => { known.set(server, new ServerDrain(server, webSockets)); });
  runtime.hooks.listening.tap('graceful-exit', (server) => {
    onUncaught(runtime, options.uncaughtTimeout, () => { crashed = true; });
    const tracked = known.get(server);
    if (!tracked) return;
    listening.add(tracked);
    // Closed by the app while it runs: it may listen again.
    server.once('close', () => {
      if (!closing) listening.delete(tracked);
    });
  });

  // Registered before the app is loaded, so it runs before the app's own listeners: what they do to their servers
  // (`server.close()` cuts idle connections) already meets the drain.
  runtime.signal.addEventListener('abort', () => {
    closing = true;
    runtime.hooks.request.tap(FIRST, closingAnswers((server) => known.get(server)?.held));
    for (const server of listening) server.begin(runtime.signal.reason as Reason);
  }, { once: true });

  const { channel, waiting, logger } = runtime;
  let moved: RequestInFlight[] = [];
  const count: Record<string, number> = {};
  runtime.hooks.beforeClose.tapPromise('graceful-exit', async (context) => {
    const inner = [...runtime.inner].map((server) => new ServerDrain(server, webSockets, true));
    const nobodyElse = crashed && !cluster.isWorker;
    if (nobodyElse) hasten(context, options.uncaughtTimeout);
    const times = nobodyElse ? { ...options, silence: UNANSWERED } : options;
    await drain([...listening, ...inner, webSockets], context, times, {
      waiting,
      report: () => channel.send('child.waiting', { ...waiting, tasks: [...waiting.tasks] }),
      cut: (requests) => channel.send('child.cut', requests),
      moved: (what) => {
        for (const [name, all] of Object.entries(what)) count[name] = (count[name] ?? 0) + all.length;
        const all = Object.values(what).flat();
        moved = oldest([...moved, ...all]);
        channel.send('drain.moved', all.length);
      },
      onlyStreams: () => channel.send('child.onlyStreams', null),
    });
    const what = Object.entries(count).filter(([, many]) => many > 0).map(([name, many]) => `${many} ${name}${many === 1 ? '' : 's'}`);
    if (what.length === 0) return;
    const fate = isReplaced(context.reason) ? ['moved', ' to other workers'] : ['ended', ', to be opened again'];
    logger.info(`${fate.join(` ${what.join(' and ')}`)}; the oldest: ${told(moved[0]!)}`);
  });
}

function hasten(closing: ClosingContext, timeout: number): void {
  closing.timeout = Math.min(closing.timeout, timeout);
  closing.deadline = Math.min(closing.deadline, performance.now() + timeout);
}

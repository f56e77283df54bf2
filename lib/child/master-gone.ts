import cluster from 'node:cluster';
import type { Channel } from '../ipc/channel.js';
import type { ChildRole } from '../ipc/messages.js';

/** Both channels end with the master, in either order; this long (ms) the other one may take. */
const APART = 50;

/**
 * Calls `gone` when the master has died. node:cluster would exit at once on 'disconnect' and cut what is in flight; but an
 * app that closes Node's IPC itself (Egg's graceful does) still has our channel, and is left to what Node does then.
 */
export function masterGone(channel: Channel<ChildRole, 'master'>, gone: () => void): void {
  let called = false;
  const once = () => {
    if (called) return;
    called = true;
    gone();
  };
  channel.onClose(once);
  // What is still sent on Node's channel between the master's death and the news of it. node:cluster passes it on to the worker.
  (cluster.worker ?? process).on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') throw error;
  });
  process.prependListener('disconnect', () => {
    const { worker } = cluster;
    if (!worker) return;
    const wanted = worker.exitedAfterDisconnect;
    worker.exitedAfterDisconnect = true;
    setTimeout(() => {
      if (!channel.open) once();
      else if (!wanted) process.exit(0);
    }, APART);
  });
}

import type { Server } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import type { Runtime } from '../api/runtime.js';

interface Handle {
  onconnection?: (this: unknown, error: number, client?: unknown) => void;
  listen(backlog: number): number;
  close(): void;
}

const BACKLOG = 511;

/**
 * The worker's side of a socket that the master holds: its connections become the app server's own, as if they had come to
 * the port, so they are counted and drained like any other. It is let go as soon as closing starts; what waits in the kernel
 * is the next worker's.
 */
export function acceptHeldSockets(runtime: Runtime): void {
  const given = new Map<string, Handle>();
  const wanted = new Map<string, () => void>();
  let accepted = 0;

  process.on('internalMessage' as 'message', ((message: { cmd?: string; path?: string }, handle?: Handle) => {
    if (message.cmd !== 'NODE_HATCHERY_ACCEPT' || !handle || message.path === undefined) return;
    given.set(message.path, handle);
    wanted.get(message.path)?.();
  }) as NodeJS.MessageListener);

  runtime.channel.on('child.accept', async ({ path }) => {
    if (!given.has(path)) await new Promise<void>((resolve) => { wanted.set(path, resolve); });
    const handle = given.get(path) as Handle;
    if (runtime.signal.aborted) return handle.close();
    handle.onconnection = (error, client) => {
      accepted++;
      const own = target(runtime.servers);
      if (own) own.onconnection?.call(own, error, client);
      else (client as Handle | undefined)?.close();
    };
    handle.listen(BACKLOG);
    runtime.signal.addEventListener('abort', () => handle.close(), { once: true });
  });

  runtime.channel.on('child.acceptRest', async ({ path }) => {
    const handle = given.get(path);
    if (!handle) return;
    // A turn of the loop may have looked at the socket before the last one came, and takes one at a time.
    for (let before = -1; before !== accepted;) {
      before = accepted;
      await turn();
      await turn();
    }
    handle.close();
  });
}

/** The listening handle of the app's first server, HTTP before others. */
function target(servers: ReadonlySet<Server>): Handle | null {
  const all = [...servers];
  const server = all.find((one) => 'closeIdleConnections' in one || 'updateSettings' in one) ?? all[0];
  return (server as { _handle?: Handle | null } | undefined)?._handle ?? null;
}

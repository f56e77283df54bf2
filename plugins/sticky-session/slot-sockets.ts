import type { Master, ChildView, HeldSocket } from '../../lib/index.js';
import { slotSocketPath } from './slot-socket-path.js';

/** In the master: one unix socket for each slot, which its worker accepts from. */
export function slotSockets(master: Master, { dir, mode }: { dir: string; mode: number }): void {
  const sockets = new Map<number, HeldSocket>();
  const underWay = new Set<Promise<unknown>>();
  const { hooks, logger } = master;

  const open = async (slot: number): Promise<HeldSocket> => {
    const file = slotSocketPath(master.target.realDir, dir, master.config.title, slot);
    const socket = sockets.get(slot) ?? await master.holdSocket(file, mode);
    sockets.set(slot, socket);
    return socket;
  };
  const close = (slot: number) => {
    sockets.get(slot)?.close();
    sockets.delete(slot);
  };
  const give = async (child: ChildView) => {
    try {
      await (await open(child.slot)).give(child);
    } catch (error) {
      if (!master.closing) logger.error(`sticky-session: the socket of slot ${child.slot} could not be given to its worker`, { error });
    }
  };

  hooks.beforeStart.tapPromise('sticky-session', async ({ workers }) => {
    for (let slot = 0; slot < workers; slot++) await open(slot);
  });
  hooks.workerReady.tap('sticky-session', (child) => {
    const slot = master.slots[child.slot];
    if (!slot || (slot.current !== child && slot.ready)) return;
    const giving: Promise<unknown> = give(child).finally(() => underWay.delete(giving));
    underWay.add(giving);
  });
  // Whoever is told that the cluster runs may connect.
  hooks.clusterReady.tapPromise('sticky-session', async () => { await Promise.all(underWay); });
  hooks.beforeDrain.tapPromise('sticky-session', async (child) => {
    const slot = master.slots[child.slot];
    if (!slot || master.closing) await sockets.get(child.slot)?.finish(child);
    else if (slot.current && slot.current !== child) await give(slot.current);
  });
  hooks.workerExit.tap('sticky-session', ({ slot }) => {
    if (!master.slots[slot] || master.closing) close(slot);
  });
  hooks.closed.tap('sticky-session', () => { for (const slot of [...sockets.keys()]) close(slot); });
}

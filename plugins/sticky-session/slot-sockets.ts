import { lstatSync, realpathSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Master, ChildView, HeldSocket } from '../../lib/index.js';
import { slotSocketPath } from './slot-socket-path.js';

/** How often it is looked whether the sockets are still where proxies look for them, ms. */
const LOOK = 5_000;

/** Permissions where nobody has said any. */
const EVERYBODY = 0o666;

interface SlotSocket {
  held: HeldSocket;
  /** Without links: `current` may lead to another release by now. */
  file: string;
  inode: number;
}

/**
 * In the master: one unix socket for each slot, which its worker accepts from. Its path goes by the directory as the user gave
 * it: after a deploy, or when somebody has cleaned up, another one is made there.
 */
export function slotSockets(master: Master, { dir, mode: own }: { dir: string; mode?: number }): void {
  const sockets = new Map<number, SlotSocket>();
  const underWay = new Set<Promise<unknown>>();
  const { hooks, logger } = master;

  const mode = (): number => own ?? (master.config.mode === undefined ? EVERYBODY : parseInt(master.config.mode.replace(/^0o/, ''), 8));

  const open = async (slot: number): Promise<HeldSocket> => {
    const known = sockets.get(slot);
    if (known) return known.held;
    const held = await master.holdSocket(slotSocketPath(master.target.dir, dir, master.config.title, slot), mode());
    const file = path.join(realpathSync(path.dirname(held.path)), path.basename(held.path));
    sockets.set(slot, { held, file, inode: inodeOf(file) });
    return held;
  };
  const grant = (held: HeldSocket) => {
    try {
      held.grant(mode());
    } catch (error) {
      logger.error(`sticky-session: mode and group of ${held.path} stay as they are`, { error });
    }
  };
  const close = (slot: number) => {
    const socket = sockets.get(slot);
    sockets.delete(slot);
    if (!socket) return;
    const { held, file, inode } = socket;
    const isThere = inodeOf(held.path) === inode;
    // It takes what has its path along.
    if (!isThere && inodeOf(file) === inode) rmSync(file, { force: true });
    held.close();
  };
  const give = async (child: ChildView) => {
    try {
      await (await open(child.slot)).give(child);
    } catch (error) {
      if (!master.closing) logger.error(`sticky-session: the socket of slot ${child.slot} could not be given to its worker`, { error });
    }
  };

  const look = async () => {
    for (const [slot, { held, inode }] of sockets) {
      if (master.closing || inodeOf(held.path) === inode) continue;
      close(slot);
      const { current } = master.slots[slot] ?? {};
      if (current?.state === 'ready') await give(current);
    }
  };
  const looking = setInterval(() => { void look(); }, LOOK).unref();
  hooks.reloaded.tapPromise('sticky-session', async () => {
    await look();
    for (const { held } of sockets.values()) grant(held);
  });

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
    if (!slot || master.closing) await sockets.get(child.slot)?.held.finish(child);
    else if (slot.current && slot.current !== child) await give(slot.current);
  });
  hooks.workerExit.tap('sticky-session', ({ slot }) => {
    if (!master.slots[slot] || master.closing) close(slot);
  });
  hooks.closed.tap('sticky-session', () => {
    clearInterval(looking);
    for (const slot of [...sockets.keys()]) close(slot);
  });
}

/** 0: there is none. */
const inodeOf = (file: string): number => lstatSync(file, { throwIfNoEntry: false })?.ino ?? 0;

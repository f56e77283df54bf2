import path from 'node:path';

/** Directory of the slots' sockets where none is configured, relative to the app's. */
export const SLOT_SOCKET_DIR = 'run';

/** The unix socket of one slot (`perSlotSocket` of sticky-session): the title and the slot. */
export const slotSocketPath = (baseDir: string, dir: string, title: string, slot: number): string =>
  path.join(path.resolve(baseDir, dir), `${title.replaceAll(/[^\w.-]/g, '_')}-${slot}.sock`);

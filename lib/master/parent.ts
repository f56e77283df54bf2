import { LONGEST } from '../ipc/frames.js';
import { Intake, SLICE } from '../ipc/intake.js';
import type { Envelope } from '../ipc/messages.js';
import type { Drops } from '../kit/drops.js';
import type { Logger } from '../kit/logger.js';
import { awaitsHandle, guardIpc, unreadOn } from '../node/ipc-reader.js';
import { isInternal } from '../node/cluster.js';

/** Bytes that a parent process may leave unread. */
const UNREAD = LONGEST + 8 * 1024 * 1024;

/** Sends to the process that has forked this one, where it is there and reads. */
export function toParent(envelope: Envelope, drops: Drops): void {
  // A parent that has gone, or closed the channel, is no reason to fail.
  if (!process.connected) return;
  if (unreadOn(process) > UNREAD) drops.add('messages to the parent process, which does not read,');
  else process.send?.(envelope, undefined, {}, () => {});
}

/** Hears a parent process out, as little trusted as a child: one that breaks the rules of Node's channel loses it. Returns what ends it. */
export function listenToParent(hear: (message: unknown) => void, logger: Logger): () => void {
  const intake = new Intake();
  guardIpc(process, {
    longest: LONGEST,
    slice: SLICE,
    admit: (message) => {
      if (!isInternal(message) || !/^NODE_HANDLE_N?ACK$/.test(message.cmd)) return true;
      return awaitsHandle(process) || 'it acknowledges a handle that it was not sent';
    },
    took: (...slice) => intake.took(...slice),
    misused: (reason) => {
      logger.warn(`the channel to the parent process (pid ${process.ppid}) is closed, as ${reason}`);
      if (process.connected) process.disconnect();
    },
  });
  process.on('message', hear);
  return () => { process.off('message', hear); };
}

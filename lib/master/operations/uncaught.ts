import type { Core } from '../core.js';

/**
 * The last net, in a process that is a master and nothing else: what nobody catches is a line in its log. In a process of the
 * user's own an exception ends it, as in any other. Returns what takes the net away.
 */
export function catchUncaught({ faults }: Core): () => void {
  const thrown = (error: unknown): void => faults.caught('uncaught exception', error);
  const rejected = (reason: unknown): void => faults.caught('unhandled rejection', reason);
  process.on('uncaughtException', thrown);
  process.on('unhandledRejection', rejected);
  return () => {
    process.off('uncaughtException', thrown);
    process.off('unhandledRejection', rejected);
  };
}

import type { ChildRole } from '../ipc/messages.js';
import type { Messenger } from './messenger.js';
import type { Logger } from '../kit/logger.js';
import type { HealthCheck } from './runtime.js';

/** What an app, an agent module or a framework gets of the cluster it runs in. */
export interface Context {
  readonly role: ChildRole;
  /** Stable index of a worker, 0..N-1, also `process.env.CLUSTER_SLOT`; -1 in the agent. */
  readonly slot: number;
  /** The resolved configuration as plain data. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly logger: Logger;
  readonly messenger: Messenger;
  /** Aborted when draining starts. */
  readonly signal: AbortSignal;
  /** Run when the process closes, last registered first, each awaited. `name` is shown while it hangs. */
  onClose(fn: () => unknown, name?: string): void;
  /** Adds a readiness check: not ready while it returns false, throws or rejects. A name used before is replaced. */
  health(name: string, fn: HealthCheck): void;
}

import type { Runtime } from '../../lib/runtime.js';
import type { GracefulExitOptions } from './options.js';
import { onUncaught } from './uncaught.js';

/** In the agent: an uncaught exception closes it in order (its `onClose` functions run) and with exit code 1. */
export default function gracefulExit(runtime: Runtime<'agent'>, options: GracefulExitOptions): void {
  onUncaught(runtime, options.agentTimeout);
}

import type { Runtime } from '../../lib/runtime.js';

/** In the agent: the master shows why it does not start. */
export default function devReload(runtime: Runtime<'agent'>): void {
  runtime.printsFailure = false;
}

import type { Runtime, SharedOptions } from '../../lib/runtime.js';
import type { Clients } from './clients.js';

/** Milliseconds before its deadline at which a process that closes gives its clients up. */
const SPARE = 500;

/** Gives the app `context.shareClient`. What that takes is loaded by the first call: most processes share nothing. */
export default function sharedClients(runtime: Runtime): void {
  let clients: Promise<Clients> | undefined;
  let deadline = Infinity;
  runtime.hooks.beforeClose.tap('shared-clients', (closing) => { deadline = closing.deadline; });
  const load = async (): Promise<Clients> => (await import('./clients.js')).clientsOf(runtime, () => deadline);
  // The first one that is registered runs last: what the app closes may still need its clients.
  runtime.onClose(async () => { await (await clients)?.close(deadline - performance.now() - SPARE); }, 'shared clients');
  const share = async (what: unknown, options?: SharedOptions) => (await (clients ??= load())).share(what, options) as never;
  runtime.extendContext('shareClient', share);
  // For modules that have no context: `shareClient` of hatchery/runtime, which is a bundle of its own.
  Reflect.set(process, Symbol.for('hatchery.shareClient'), share);
}

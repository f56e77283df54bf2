import type { ShareClient, SharedOptions } from '../api/messenger.js';
import { requireBuilt } from '../kit/package.js';

/** Where a child of a cluster has its `context.shareClient`, for all that is loaded in it (plugins/shared-clients/worker.ts). */
const SHARE = Symbol.for('hatchery.shareClient');

interface Alone { single(): { share(what: unknown, options?: SharedOptions): Promise<object> } }

/**
 * As `context.shareClient`, from any module of an app. In a process that is no child of a cluster, a test's for instance, all is
 * in that process: it leads what it shares.
 */
export const shareClient: ShareClient = async (what: unknown, options?: SharedOptions) => {
  if (!Reflect.has(process, SHARE)) {
    const alone = (requireBuilt('plugins/shared-clients/clients.cjs') as Alone).single();
    Reflect.set(process, SHARE, alone.share.bind(alone));
  }
  return (Reflect.get(process, SHARE) as ShareClient)(what as never, options) as never;
};

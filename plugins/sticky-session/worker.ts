import type { Runtime } from '../../lib/runtime.js';
import type {} from './messages.js';
import type { StickyOptions } from './options.js';
import { proxiedAddresses } from './proxied-address.js';
import { Requests } from './requests.js';
import { sample } from './sample.js';

/** What the master gives to each worker. */
export interface WorkerOptions {
  options: StickyOptions;
}

export default function stickySession(runtime: Runtime<'worker'>, { options }: WorkerOptions): void {
  if (options.proxyProtocol) proxiedAddresses(runtime);
  const requests = options.mode === 'request' ? new Requests(runtime, options) : null;
  sample(runtime, requests);
}

import type { Runtime } from '../../lib/runtime.js';
import type {} from './messages.js';
import type { StickyOptions } from './options.js';
import { proxiedAddresses } from './proxied-address.js';
import { Requests } from './requests.js';
import { sample } from './sample.js';

/** What the master gives to each worker. */
export interface WorkerOptions {
  options: StickyOptions;
  /** Directory of the private sockets in mode "request". */
  dir: string | null;
}

export default function stickySession(runtime: Runtime<'worker'>, { options, dir }: WorkerOptions): void {
  if (options.proxyProtocol) proxiedAddresses(runtime);
  const requests = dir === null ? null : new Requests(runtime, options, dir);
  sample(runtime, requests);
}

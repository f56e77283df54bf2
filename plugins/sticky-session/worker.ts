import type { Runtime } from '../../lib/index.js';
import type { StickyOptions } from './options.js';
import { proxiedAddresses } from './proxied-address.js';

export default function stickySession(runtime: Runtime<'worker'>, options: StickyOptions): void {
  if (options.proxyProtocol) proxiedAddresses(runtime);
}

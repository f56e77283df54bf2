import { readFirst, type RawHandle } from '../../lib/index.js';
import { parseProxyHeader, type ProxiedPeer, type ProxyHeader } from './proxy-header.js';

export type Outcome = { peer: ProxiedPeer | null } | { error: string };

/** Bytes, so many that one can tell how long the header is. */
const FIRST = 12;

/**
 * Reads the PROXY header off a raw handle and leaves every byte behind it in the kernel. So the connection can be passed on as
 * it is, to a TLS server as well, and nothing that was read too much has to travel along. `timeout`: milliseconds for the
 * whole header.
 */
export function readProxyHeader(handle: RawHandle, timeout: number, done: (outcome: Outcome) => void): void {
  let header: ProxyHeader = { need: FIRST };
  const stop = readFirst(handle, FIRST, (bytes) => {
    header = parseProxyHeader(bytes);
    return 'need' in header ? header.need : null;
  }, (outcome) => {
    clearTimeout(timer);
    if (outcome instanceof Error) done({ error: outcome.message });
    else done('need' in header ? { error: 'the connection ended within the PROXY header' } : header);
  });
  const timer = setTimeout(() => stop(new Error(`no PROXY header within ${timeout} ms`)), timeout);
}

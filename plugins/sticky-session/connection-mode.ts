import { peerAddress, type ConnectionRouting, type Master, type RawHandle } from '../../lib/index.js';
import { addressKey, plainAddress } from './address-key.js';
import { addressList, type StickyOptions } from './options.js';
import type { ProxiedPeer } from './proxy-header.js';
import { readProxyHeader, type Outcome } from './read-proxy-header.js';
import { best } from './rendezvous.js';

/** Milliseconds between two log lines about the same trouble. */
const QUIET = 10_000;

/** Other plugins note other things. */
const peerOf = (note: unknown): ProxiedPeer | undefined =>
  typeof note === 'object' && note !== null && 'address' in note ? note as ProxiedPeer : undefined;

/** In the master: a connection's slot by the address of its client. */
export function connectionRouting(master: Master, options: StickyOptions): ConnectionRouting {
  /** Clients known from a PROXY header; null: the header named none. */
  const proxied = new WeakMap<RawHandle, ProxiedPeer | null>();
  const count = () => master.slots.length;

  const routing: ConnectionRouting = {
    patience: options.patience,
    pick(client, unavailable, note) {
      // One that a worker gave back has another handle, and what its header said goes along.
      const peer = proxied.has(client) || !options.proxyProtocol ? proxied.get(client) : peerOf(note);
      const address = peer === undefined ? peerAddress(client) : peer?.address;
      // A unix socket's peer has no address, and one that was reset already has none any more.
      if (address === undefined) return undefined;
      const key = addressKey(address);
      return best(key, count(), unavailable) ?? best(key, count());
    },
  };
  if (!options.proxyProtocol) return routing;

  const trusted = addressList(options.trustedProxies);
  let quietUntil = 0;
  const complain = (address: string, error: string) => {
    if (performance.now() < quietUntil) return;
    quietUntil = performance.now() + QUIET;
    master.logger.warn(`sticky-session: connection of proxy ${address} closed: ${error}`);
  };
  return {
    ...routing,
    prepare(client, admit, drop) {
      const address = plainAddress(peerAddress(client) ?? '');
      if (address === '' || !trusted(address)) return admit();
      readProxyHeader(client, options.headerTimeout, master.guard('a PROXY header', (outcome: Outcome) => {
        if ('error' in outcome) {
          complain(address, outcome.error);
          drop();
          client.close();
          return;
        }
        proxied.set(client, outcome.peer);
        admit(outcome.peer ?? undefined);
      }));
    },
  };
}

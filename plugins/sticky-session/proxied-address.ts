import type { Server, Socket } from 'node:net';
import { belowTls, handleOf, type Runtime } from '../../lib/runtime.js';
import { showPeer } from './peer.js';
import type { ProxiedPeer } from './proxy-header.js';

/**
 * In a worker behind a proxy that speaks the PROXY protocol: `socket.remoteAddress` is the client's. The master has read
 * the header and sends what it says with the connection.
 */
export function proxiedAddresses(runtime: Runtime<'worker'>): void {
  runtime.hooks.server.tap('sticky-session', (server: Server) => {
    server.prependListener('connection', (socket: Socket) => {
      const handle = handleOf(socket);
      const peer = handle && runtime.noteOf(handle) as ProxiedPeer | undefined;
      if (peer) showPeer(socket, { remoteAddress: peer.address, remotePort: peer.port });
    });
    server.prependListener('secureConnection', (socket: Socket) => {
      const parent = belowTls(socket);
      if (!parent || !Object.hasOwn(parent, 'remoteAddress')) return;
      showPeer(socket, { remoteAddress: parent.remoteAddress, remotePort: parent.remotePort });
    });
  });
}

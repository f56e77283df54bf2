import { isIPv6, type Socket } from 'node:net';

/** What a socket says of its two ends. */
export interface Ends {
  remoteAddress?: string | undefined;
  remotePort?: number | undefined;
  localAddress?: string | undefined;
  localPort?: number | undefined;
  /** The client speaks TLS; where it does not, Node's sockets have no such property. */
  encrypted?: true | undefined;
}

/** Makes a socket show the client's ends in place of those of the connection that brought it here. */
export function showPeer(socket: Socket, ends: Ends): void {
  for (const [name, value] of Object.entries({ ...ends, ...familyOf(ends) })) {
    if (value !== undefined) Object.defineProperty(socket, name, { value, configurable: true, enumerable: false, writable: true });
  }
}

const familyOf = ({ remoteAddress, localAddress }: Ends) => ({
  remoteFamily: remoteAddress === undefined ? undefined : isIPv6(remoteAddress) ? 'IPv6' : 'IPv4',
  localFamily: localAddress === undefined ? undefined : isIPv6(localAddress) ? 'IPv6' : 'IPv4',
});

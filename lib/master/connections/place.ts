import type { ClusterMessage } from '../../node/cluster.js';

/** An address that a worker asks for, or that the master has bound. Null host: all of them. */
export interface Place {
  host: string | null;
  port: number;
  family: 4 | 6;
  /** `::` alone takes IPv4 as well. */
  ipv6Only: boolean;
}

/** libuv's UV_TCP_IPV6ONLY. */
const IPV6_ONLY = 1;

/** Null for what has no port: a unix socket, a descriptor, UDP. */
export function placeOf({ address = null, port, addressType, fd, flags = 0 }: ClusterMessage): Place | null {
  if (port === undefined || port < 0 || (addressType !== 4 && addressType !== 6) || (typeof fd === 'number' && fd >= 0)) return null;
  return { host: address, port, family: addressType, ipv6Only: (flags & IPV6_ONLY) !== 0 };
}

/** Which families a place takes when it stands for all addresses. */
function wholeFamilies({ host, ipv6Only }: Place): (4 | 6)[] {
  if (host === null) return [4, 6];
  if (host === '::') return ipv6Only ? [6] : [4, 6];
  return host === '0.0.0.0' ? [4] : [];
}

/** Whoever connects to `inner` is let in by `outer`. Two that cover neither each other nor anything of each other are strangers. */
export function covers(outer: Place, inner: Place): boolean {
  if (outer.port !== inner.port) return false;
  if (outer.host === inner.host && outer.ipv6Only === inner.ipv6Only) return true;
  const families = wholeFamilies(inner);
  return (families.length > 0 ? families : [inner.family]).every((family) => wholeFamilies(outer).includes(family));
}

/** The system lets only one of them listen. */
export function overlap(one: Place, other: Place): boolean {
  return covers(one, other) || covers(other, one)
    || (one.port === other.port && wholeFamilies(one).some((family) => wholeFamilies(other).includes(family)));
}

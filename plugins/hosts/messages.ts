import type { TlsFiles, UrlSource } from './redis-url.js';

/** What the parts in the children are given. */
export interface PartOptions {
  source: UrlSource;
  tls?: TlsFiles;
  /** The host's name, for people. */
  host: string;
  /** Of all keys. */
  prefix: string;
  /** Of leases and presence, ms. */
  ttl: number;
  /** This run of this instance, unlike any other one anywhere. */
  instance: string;
}

/** An instance, as it tells of itself. */
export interface Report {
  host: string;
  title: string;
  /** Of the master. */
  pid: number;
  state: string;
  address: string | null;
  workers: { ready: number; all: number };
  version: string;
  node: string;
  /** ISO 8601. */
  startedAt: string;
}

/** The same as all are told of it. */
export interface Instance extends Report {
  id: string;
  /** Milliseconds since it was heard of. */
  seen: number;
}

/** A lease that somebody has. */
export interface LeaseHeld {
  name: string;
  token: number;
  /** `id` of the instance, and the process there. */
  instance: string;
  pid: number;
  /** Milliseconds until it ends, unless it is renewed. */
  left: number;
}

/** What `framework status --all --json` prints, and `GET /hosts` of the control socket answers. */
export interface Hosts {
  instances: Instance[];
  leases: LeaseHeld[];
  /** Why this instance knows of no other one at the moment; null: it does. */
  unreachable: string | null;
}

declare module '../../lib/index.js' {
  interface InternalMessages {
    /** What the instance tells of itself. */
    'hosts.report': { from: 'worker' | 'agent'; to: 'master'; data: null; reply: Report };
    /** All instances: `instances` and `leases` of {@link Hosts}. */
    'hosts.list': { from: 'master'; to: 'worker' | 'agent'; data: null; reply: Omit<Hosts, 'unreachable'> };
    /** A broadcast of the master's own, for other hosts. */
    'hosts.carry': {
      from: 'master'; to: 'worker' | 'agent'; data: { action: string; data: unknown; id: string; meta?: Record<string, unknown> };
    };
  }
}

/** Who owns which slot, as every worker of mode "request" knows it. Processes by their `id`. */
export interface OwnerTable {
  /** For each slot the process in charge; 0: it has none at the moment; -1: it never had one, and does not count yet. */
  slots: number[];
  /** Processes that take requests: those in charge, and those that drain but still have sessions. */
  alive: number[];
  /** The cluster closes: nobody comes to replace those that go. */
  closing: boolean;
  /** Where the private sockets are: each worker looks after its own. */
  dir: string;
}

export interface StickySample {
  /** Open client connections. */
  connections: number;
  /** Requests sent on to another worker, and taken over from another one, since the start. */
  forwarded: number;
  received: number;
}

/** Looked at in the master, which believes nothing that a worker says. */
export function isStickySample(value: unknown): value is StickySample {
  if (typeof value !== 'object' || value === null) return false;
  const { connections, forwarded, received } = value as Record<keyof StickySample, unknown>;
  return [connections, forwarded, received].every((count) => Number.isSafeInteger(count) && (count as number) >= 0);
}

declare module '../../lib/index.js' {
  interface InternalMessages {
    'sticky-session.table': { from: 'master'; to: 'worker'; data: OwnerTable; reply: boolean };
    /** Answered when nothing is on its way to a process that leaves: it knows only what it has read. */
    'sticky-session.release': { from: 'master'; to: 'worker'; data: { id: number }; reply: boolean };
    /** A draining worker is about to close its private socket; the answer comes when nobody sends it anything any more. */
    'sticky-session.leave': { from: 'worker'; to: 'master'; data: null; reply: boolean };
    /** The private socket of one that lives cannot be found. */
    'sticky-session.missing': { from: 'worker'; to: 'master'; data: null };
    'sticky-session.sample': { from: 'worker'; to: 'master'; data: StickySample };
  }
}

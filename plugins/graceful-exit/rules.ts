/** What one look at a draining server is to end. */
export interface Rules {
  /** performance.now() */
  now: number;
  /** Idle connections are closed after so many ms; null: after the keep-alive time-out that the server announced. */
  idleTimeout: number | null;
  /** Connections of a plain TCP server are ended after so many ms without a byte either way. */
  tcpTimeout: number;
  /** HTTP/2 sessions without a stream that do not heed GOAWAY are destroyed after so many ms. */
  goawayTimeout: number;
  /** As idleTimeout for a server that announced none: it would keep them for ever. */
  idleFallback: number;
  /** Event streams have had their time to say goodbye. */
  endStreams: boolean;
  /** WebSocket and other upgraded connections have had theirs. */
  endUpgraded: boolean;
  /** The deadline is near: idle connections go now. */
  closeIdle: boolean;
  /** The deadline is here: everything goes. */
  cut: boolean;
}

export interface Progress {
  /** Requests being received or answered. */
  requests: number;
  /** Open connections. */
  sockets: number;
}

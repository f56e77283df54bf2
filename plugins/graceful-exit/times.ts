/** setTimeout's limit, ms. */
export const LONGEST = 2 ** 31 - 1;

export const WHOLE_MS = 'expected whole milliseconds from 0 up';

/** Milliseconds, where nobody says otherwise; the same for a cluster's workers and for one process by itself. */
export const DEFAULTS = {
  timeout: 30_000,
  agentTimeout: 5_000,
  shutdownDelay: 0,
  streamTimeout: 600_000,
  subscriptionAge: 60_000,
  moveWithin: 10_000,
  uncaughtTimeout: 30_000,
  idleTimeout: 1_000,
  tcpTimeout: 5_000,
  upgradeTimeout: 5_000,
} as const;

/**
 * What master and workers say beside the channel, on Node's own, since a handle goes along. Node passes messages whose `cmd`
 * starts with `NODE_` on as internal ones, beside those of node:cluster, so no application sees them (lib/node/cluster.ts).
 */
export const message = {
  /** From the worker: a connection that it gives back. */
  connectionBack: 'NODE_HATCHERY_CONNECTION_BACK',
  /** To the worker: its end of a pipe that brings connections. */
  pipe: 'NODE_HATCHERY_PIPE',
  /** To the worker: a socket that the master holds, `path` with it; `child.accept` tells when to begin. */
  heldSocket: 'NODE_HATCHERY_ACCEPT',
} as const;

/** The worker's words on the pipe, a byte each: it is there; the connection is taken; its server closes, or is full. */
export const word = { open: 'o', taken: 't', refused: 'r' } as const;

/** The master's: node:cluster's key of the address, and what plugins have noted of the connection that comes along. */
export type Handed = [key: string, note?: unknown];

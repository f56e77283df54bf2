import * as v from 'valibot';

const LONGEST = 2 ** 31 - 1;
const expected = 'expected whole milliseconds from 0 up';

const milliseconds = (fallback: number, description: string) =>
  v.optional(v.pipe(v.number(expected), v.integer(expected), v.minValue(0, expected), v.maxValue(LONGEST, `expected at most ${LONGEST} ms`),
    v.description(description)), fallback);

export const schema = v.strictObject({
  timeout: milliseconds(30_000,
    'How long a worker may take to drain, in ms. Everything happens within it: set it a little below what the orchestrator allows.'),
  agentTimeout: milliseconds(5_000, 'How long the agent may take to close, in ms.'),
  shutdownDelay: milliseconds(0, 'How long readiness says 503 before the workers drain, in ms, for balancers that poll.'),
  streamTimeout: milliseconds(600_000,
    'How long an answer that has begun, or an upload, may take in a worker that is replaced, in ms. A stop has `timeout` for all.'),
  subscriptionAge: milliseconds(60_000,
    'How old an event stream that a browser opens again by itself is when a worker that closes may end it, in ms.'),
  moveWithin: milliseconds(10_000, 'Over how long such event streams, and WebSockets, are ended, in ms. A stop ends them at once.'),
  uncaughtTimeout: milliseconds(30_000, 'How long a worker may take to drain after an uncaught exception, in ms.'),
  idleTimeout: milliseconds(1_000,
    'How long an idle keep-alive connection is left open at a stop, in ms. A reload honours the time-out the server announced.'),
  tcpTimeout: milliseconds(5_000, 'How long a connection of a plain TCP server is left open without a byte either way, in ms.'),
  upgradeTimeout: milliseconds(5_000,
    'How long a WebSocket\'s client has to answer the goodbye, and other upgraded connections after the last HTTP answer, in ms.'),
});

export type GracefulExitOptions = v.InferOutput<typeof schema>;

declare module '../../lib/index.js' {
  interface PluginOptions {
    'graceful-exit': v.InferInput<typeof schema>;
  }
}

import * as v from 'valibot';
import { DEFAULTS, LONGEST, WHOLE_MS } from './times.js';

const milliseconds = (fallback: number, description: string) =>
  v.optional(v.pipe(v.number(WHOLE_MS), v.integer(WHOLE_MS), v.minValue(0, WHOLE_MS), v.maxValue(LONGEST, `expected at most ${LONGEST} ms`),
    v.description(description)), fallback);

export const schema = v.strictObject({
  timeout: milliseconds(DEFAULTS.timeout,
    'How long a worker may take to drain, in ms. Everything happens within it: set it a little below what the orchestrator allows.'),
  agentTimeout: milliseconds(DEFAULTS.agentTimeout, 'How long the agent may take to close, in ms.'),
  shutdownDelay: milliseconds(DEFAULTS.shutdownDelay,
    'How long readiness says 503 before the workers drain, in ms, for balancers that poll.'),
  streamTimeout: milliseconds(DEFAULTS.streamTimeout,
    'How long an answer that has begun, or an upload, may take in a worker that is replaced, in ms. A stop has `timeout` for all.'),
  subscriptionAge: milliseconds(DEFAULTS.subscriptionAge,
    'How old an event stream that a browser opens again by itself is when a worker that closes may end it, in ms.'),
  moveWithin: milliseconds(DEFAULTS.moveWithin,
    'Over how long such event streams, and WebSockets, are ended, in ms. A stop ends them at once.'),
  uncaughtTimeout: milliseconds(DEFAULTS.uncaughtTimeout, 'How long a worker may take to drain after an uncaught exception, in ms.'),
  idleTimeout: milliseconds(DEFAULTS.idleTimeout,
    'How long an idle keep-alive connection is left open at a stop, in ms. A reload honours the time-out the server announced.'),
  tcpTimeout: milliseconds(DEFAULTS.tcpTimeout,
    'How long a connection of a plain TCP server is left open without a byte either way, in ms.'),
  upgradeTimeout: milliseconds(DEFAULTS.upgradeTimeout,
    'How long a WebSocket\'s client has to answer the goodbye, and other upgraded connections after the last HTTP answer, in ms.'),
});

export type GracefulExitOptions = v.InferOutput<typeof schema>;

declare module '../../lib/index.js' {
  interface PluginOptions {
    'graceful-exit': v.InferInput<typeof schema>;
  }
}

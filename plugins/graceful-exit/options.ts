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
  uncaughtTimeout: milliseconds(30_000, 'How long a worker may take to drain after an uncaught exception, in ms.'),
  idleTimeout: milliseconds(1_000,
    'How long an idle keep-alive connection is left open at a stop, in ms. A reload honours the time-out the server announced.'),
  tcpTimeout: milliseconds(5_000, 'How long a connection of a plain TCP server is left open without a byte either way, in ms.'),
  upgradeTimeout: milliseconds(5_000, 'How long WebSocket and other upgraded connections are left open after the last HTTP answer, in ms.'),
});

export type GracefulExitOptions = v.InferOutput<typeof schema>;

declare module '../../lib/index.js' {
  interface PluginOptions {
    'graceful-exit': v.InferInput<typeof schema>;
  }
}

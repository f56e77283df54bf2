import { connectionsOf, type Runtime } from '../../lib/runtime.js';
import type { StickySample } from './messages.js';

/** Milliseconds between two looks; only what has changed is sent. */
const INTERVAL = 1_000;

/** In a worker: tells the master how many connections its slot has. Counted by Node itself. */
export function sample(runtime: Runtime<'worker'>, requests: { forwarded: number; received: number } | null): void {
  let last = '';
  const look = () => {
    let connections = 0;
    for (const server of runtime.servers) connections += connectionsOf(server);
    const now: StickySample = { connections, forwarded: requests?.forwarded ?? 0, received: requests?.received ?? 0 };
    const text = JSON.stringify(now);
    if (text !== last) runtime.channel.send('sticky-session.sample', now);
    last = text;
  };
  runtime.hooks.boot.tap('sticky-session', () => { setInterval(look, INTERVAL).unref(); });
}

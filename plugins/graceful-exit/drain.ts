import { setTimeout as delay } from 'node:timers/promises';
import type { ClosingContext, CutRequests, Runtime } from '../../lib/runtime.js';
import { oldest } from './in-flight.js';
import type { GracefulExitOptions } from './options.js';
import type { Progress, Rules } from './rules.js';
import type { ServerDrain } from './server-drain.js';

/** Milliseconds between two looks. */
const LOOK = 100;
const REPORT = 500;
/** An event stream's writer hears of the end by the signal first. */
const STREAM_GRACE = 100;
/** The last part of the time: idle connections go this long before the end (ms, and as a share of the whole) ... */
const HURRY = { most: 2_000, share: 0.2 };
/** ... and everything at this part of it; what is left is for the app's own closing. */
const CUT = 0.4;
/** Without a keep-alive time-out idle connections would stay for ever. */
const IDLE_FALLBACK = 5_000;
/** How long an HTTP/2 client that has somewhere else to go may take to heed GOAWAY. */
const GOAWAY_TIMEOUT = 5_000;

/** Nobody takes over: clients have nowhere else to go, so there is no reason to honour an idle connection. */
const FINAL = new Set<ClosingContext['reason']>(['stop', 'masterGone', 'abort']);

export interface DrainReport {
  waiting: Runtime['waiting'];
  report(): void;
  cut(requests: CutRequests): void;
}

/** Resolves when all servers are closed and every connection is, which is before the deadline in any case. */
export async function drain(
  servers: ServerDrain[], closing: ClosingContext, options: GracefulExitOptions, { waiting, report, cut }: DrainReport,
): Promise<void> {
  const { timeout, deadline } = closing;
  for (const server of servers) server.begin();
  let allClosed = false;
  const closed = Promise.all(servers.map((server) => server.closed)).then(() => { allClosed = true; });
  const started = performance.now();
  const hurryAt = deadline - Math.min(HURRY.most, timeout * HURRY.share);
  const cutAt = deadline - (deadline - hurryAt) * CUT;
  let quietSince: number | null = null;
  let reported = -Infinity;
  let told = 0;
  let isCut = false;

  for (;;) {
    const now = performance.now();
    // The reason is read anew each time: a stop may overtake a reload.
    const idleTimeout = FINAL.has(closing.reason) ? options.idleTimeout : null;
    const rules: Rules = {
      now,
      idleTimeout,
      tcpTimeout: options.tcpTimeout,
      goawayTimeout: idleTimeout ?? GOAWAY_TIMEOUT,
      idleFallback: Math.min(IDLE_FALLBACK, timeout / 2),
      endStreams: now - started >= STREAM_GRACE,
      endUpgraded: now >= hurryAt || (quietSince !== null && now - quietSince >= options.upgradeTimeout),
      closeIdle: now >= hurryAt,
      cut: now >= cutAt,
    };
    const inFlight = () => oldest(servers.flatMap((server) => server.inFlight(now)));
    const cutNow = rules.cut && !isCut ? inFlight() : null;
    const progress = sum(servers.map((server) => server.look(rules)));
    if (cutNow && progress.requests > 0) cut({ count: progress.requests, oldest: cutNow });
    isCut = rules.cut;
    if (isCut) progress.requests = 0;
    Object.assign(waiting, progress);
    quietSince = progress.requests > 0 ? null : quietSince ?? now;
    // At once when none is left: whoever ends then has cut nobody.
    const isNews = told > 0 && progress.requests === 0;
    const isDue = now - reported >= REPORT && (progress.requests > 0 || now - started >= REPORT);
    if (isNews || isDue) {
      reported = now;
      told = progress.requests;
      waiting.inFlight = told > 0 ? inFlight() : [];
      report();
    }
    if (servers.every((server) => server.done)) break;
    await Promise.race(allClosed ? [delay(LOOK)] : [delay(LOOK), closed]);
  }
  Object.assign(waiting, { requests: 0, sockets: 0, inFlight: [] });
}

const sum = (all: Progress[]): Progress => all.reduce((total, one) => ({
  requests: total.requests + one.requests,
  sockets: total.sockets + one.sockets,
}), { requests: 0, sockets: 0 });

import { setTimeout as delay } from 'node:timers/promises';
import type { ClosingContext, CutRequests, RequestInFlight, Runtime } from '../../lib/runtime.js';
import { oldest } from './in-flight.js';
import type { GracefulExitOptions } from './options.js';
import { sum, type Progress, type Rules } from './rules.js';

/** Milliseconds between two looks. */
const LOOK = 100;
const REPORT = 500;
/** Of what is to be ended the app hears by the signal first. */
const STREAM_GRACE = 100;
/** The last part of the time: idle connections go this long before the end (ms, and as a share of the whole) ... */
const HURRY = { most: 2_000, share: 0.2 };
/** ... and everything at this part of it; what is left is for the app's own closing. */
const CUT = 0.4;
/** Without a keep-alive time-out idle connections would stay for ever. */
const IDLE_FALLBACK = 5_000;
/** How long an HTTP/2 client that has somewhere else to go may take to heed GOAWAY. */
const GOAWAY_TIMEOUT = 5_000;

/** Close codes of RFC 6455 and its registry: "Going Away", of whoever goes for good, and "Service Restart". */
const GOING_AWAY = 1001;
const SERVICE_RESTART = 1012;

export type Reason = ClosingContext['reason'];
/** Nobody takes over: clients have nowhere else to go, so there is no reason to honour an idle connection. */
const FINAL = new Set<Reason>(['stop', 'masterGone', 'abort']);
export const isFinal = (reason: Reason): boolean => FINAL.has(reason);
/** Another worker has the place, and nothing is wrong with this one: its streams may go on. */
const REPLACED = new Set<Reason>(['reload', 'scale', 'recycle', 'signal']);
export const isReplaced = (reason: Reason): boolean => REPLACED.has(reason);

/** By what a log calls one of them. */
export type Moved = Record<'event stream' | 'polling session' | 'WebSocket', RequestInFlight[]>;

export interface DrainReport {
  waiting: Runtime['waiting'];
  report(): void;
  /** All that was cut until now. */
  cut(requests: CutRequests): void;
  /** What was ended since the last call that comes back by itself. */
  moved(what: Moved): void;
  /** Nothing but streams, and WebSockets that are told to go, is left: the place need not wait for them. Called once. */
  onlyStreams(): void;
}

/** A server, or another part of what is open. */
export interface Drained {
  readonly closed: Promise<void>;
  readonly done: boolean;
  begin(reason: Reason): void;
  look(rules: Rules): Progress;
}

/** `silence`: ms without a byte after which nobody waits for an answer any more. */
export type DrainTimes = GracefulExitOptions & { silence?: number };

/** Resolves when all servers are closed and every connection is, which is before the deadlines in any case. */
export async function drain(servers: Drained[], closing: ClosingContext, options: DrainTimes, to: DrainReport): Promise<void> {
  const { waiting } = to;
  for (const server of servers) server.begin(closing.reason);
  let allClosed = false;
  const closed = Promise.all(servers.map((server) => server.closed)).then(() => { allClosed = true; });
  const clock = new Clock(closing, options);
  const lost: CutRequests = { count: 0, oldest: [] };
  let reported = -Infinity;
  let told = 0;
  let isLeft = false;

  for (;;) {
    const rules = clock.rules(performance.now());
    const progress = sum(servers.map((server) => server.look(rules)));
    clock.seen(progress, rules.now);
    const under = progress.requests + progress.streams;
    if (progress.cut.length > 0) {
      lost.count += progress.cut.length;
      lost.oldest = oldest([...lost.oldest, ...progress.cut]);
      to.cut(lost);
    }
    const moved: Moved = { 'event stream': progress.moved, 'polling session': progress.polls, WebSocket: progress.goodbyes };
    if (Object.values(moved).some((all) => all.length > 0)) to.moved(moved);
    Object.assign(waiting, { requests: under, streams: progress.streams, sockets: progress.sockets });
    // At once when none is left, or some were cut: whoever ends then has cut nobody else.
    const isNews = progress.cut.length > 0 || (told > 0 && under === 0);
    const isDue = rules.now - reported >= REPORT && (under > 0 || rules.now - clock.started >= REPORT);
    const leaves = !isLeft && REPLACED.has(closing.reason) && progress.streams + progress.moving > 0
      && progress.requests + progress.others === 0;
    if (isNews || isDue || leaves) {
      reported = rules.now;
      told = under;
      waiting.inFlight = oldest(progress.inFlight);
      to.report();
    }
    if (leaves) {
      isLeft = true;
      to.onlyStreams();
    }
    if (servers.every((server) => server.done)) break;
    await Promise.race(allClosed ? [delay(LOOK)] : [delay(LOOK), closed]);
  }
  Object.assign(waiting, { requests: 0, streams: 0, sockets: 0, inFlight: [] });
}

/** What it is time for. */
class Clock {
  readonly started = performance.now();
  readonly #closing: ClosingContext;
  readonly #options: DrainTimes;
  /** Of the end of a drain: idle connections go so many ms before it, everything else at a part of that. */
  readonly #last: number;
  #quietSince: number | null = null;

  constructor(closing: ClosingContext, options: DrainTimes) {
    this.#closing = closing;
    this.#options = options;
    this.#last = Math.min(HURRY.most, closing.timeout * HURRY.share);
  }

  /** Upgraded connections stay until some time after the last answer that is not a stream. */
  seen({ requests }: Progress, now: number): void {
    this.#quietSince = requests > 0 ? null : this.#quietSince ?? now;
  }

  rules(now: number): Rules {
    // The reason is read anew each time: a stop may overtake a reload.
    const { reason, timeout, deadline, streamDeadline, movedAt } = this.#closing;
    const { idleTimeout, tcpTimeout, subscriptionAge, upgradeTimeout, moveWithin, silence = Infinity } = this.#options;
    const final = isFinal(reason);
    const hurryAt = deadline - this.#last;
    const cutAt = deadline - this.#last * CUT;
    const streamsUntil = REPLACED.has(reason) ? streamDeadline - this.#last * CUT : cutAt;
    const isHeard = now - this.started >= STREAM_GRACE;
    return {
      now,
      idleTimeout: final ? idleTimeout : null,
      tcpTimeout,
      goawayTimeout: final ? idleTimeout : GOAWAY_TIMEOUT,
      idleFallback: Math.min(IDLE_FALLBACK, timeout / 2),
      subscriptionAge: isHeard ? subscriptionAge : Infinity,
      moveWithin: final ? 0 : Math.max(0, Math.min(moveWithin, streamsUntil - now)),
      goodbye: isHeard ? (final ? GOING_AWAY : SERVICE_RESTART) : null,
      upgradeTimeout,
      moveAll: movedAt !== null && !final,
      endUpgraded: now >= hurryAt || (this.#quietSince !== null && now - this.#quietSince >= upgradeTimeout),
      silence,
      closeIdle: now >= hurryAt,
      cut: now >= cutAt,
      cutStreams: isHeard && now >= streamsUntil,
    };
  }
}

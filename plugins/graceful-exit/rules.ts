import type { RequestInFlight } from '../../lib/runtime.js';

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
  /** Subscriptions are moved once they are so old, ms; Infinity: none yet, as their writers hear of the end first. */
  subscriptionAge: number;
  /** Over so many ms; 0: at once. */
  moveWithin: number;
  /** All streams go as subscriptions do: somebody else needs the room. */
  moveAll: boolean;
  /** The code that WebSockets are closed with; null: not yet, as the app hears of the end first and may close them itself. */
  goodbye: number | null;
  /** How long (ms) a client has to answer that. */
  upgradeTimeout: number;
  /** Other upgraded connections have had their time. */
  endUpgraded: boolean;
  /** What has been still for so many ms goes, as it may never be answered. */
  silence: number;
  /** The deadline is near: idle connections go now. */
  closeIdle: boolean;
  /** The deadline is here: everything goes but streams ... */
  cut: boolean;
  /** ... and these too. */
  cutStreams: boolean;
}

export interface Progress {
  /** Requests being received or answered, streams apart. */
  requests: number;
  /** Answers that have begun, and uploads; they may take longer. */
  streams: number;
  /** WebSockets: they are told to go elsewhere. */
  moving: number;
  /** Open connections. */
  sockets: number;
  /** Those of them that carry no request, and are not being ended: idle ones, for instance. */
  others: number;
  /** What was under way at this look and has been left alone. */
  inFlight: RequestInFlight[];
  /** What this look has cut. */
  cut: RequestInFlight[];
  /** Subscriptions that this look has ended: their clients come back. */
  moved: RequestInFlight[];
  /** Polls of sessions that this look has answered with their session's end. */
  polls: RequestInFlight[];
  /** WebSockets that this look has closed, or will as soon as a message ends. */
  goodbyes: RequestInFlight[];
}

export const NO_PROGRESS = (): Progress => ({
  requests: 0, streams: 0, moving: 0, sockets: 0, others: 0, inFlight: [], cut: [], moved: [], polls: [], goodbyes: [],
});

export const sum = (all: readonly Progress[]): Progress => all.reduce((total, one) => ({
  requests: total.requests + one.requests,
  streams: total.streams + one.streams,
  moving: total.moving + one.moving,
  sockets: total.sockets + one.sockets,
  others: total.others + one.others,
  inFlight: [...total.inFlight, ...one.inFlight],
  cut: [...total.cut, ...one.cut],
  moved: [...total.moved, ...one.moved],
  polls: [...total.polls, ...one.polls],
  goodbyes: [...total.goodbyes, ...one.goodbyes],
}), NO_PROGRESS());

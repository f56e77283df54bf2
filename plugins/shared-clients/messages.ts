import type { Asking } from '../../lib/index.js';

/** An error on its way between processes, as `wireWhole` makes it. */
export interface Failure {
  name: string;
  message: string;
  stack?: string;
  code?: string;
  detail?: string;
  cause?: Failure;
  fields?: Record<string, unknown>;
}

/** Who leads the clients of one name, as the master says it. */
export interface Leading {
  name: string;
  /** One more with each leader: what is older counts no more. */
  term: number;
  /** Null: nobody, at the moment. */
  pid: number | null;
  /** The real client could not be made. */
  error?: Failure;
}

declare module '../../lib/index.js' {
  interface InternalMessages {
    /** A process shares clients of this name; `leads`: it could make the real one. Answered with who leads. */
    'shared.join': { from: 'worker' | 'agent'; to: 'master'; data: { name: string; leads: boolean }; reply: Leading };
    /** It shares them no more. Answered once nobody needs it: whoever leads has handed over, or is alone. */
    'shared.leave': { from: 'worker' | 'agent'; to: 'master'; data: string; reply: null };
    /** The process closes: what it leads is for another one, from now on. */
    'shared.closing': { from: 'worker' | 'agent'; to: 'master'; data: null };
    /** Make the real client; answered when it is ready, or with why it cannot be made. `members`: who shares it now, by pid. */
    'shared.lead': {
      from: 'master'; to: 'worker' | 'agent'; data: { name: string; term: number; members: number[] }; reply: Failure | null;
    };
    'shared.leading': { from: 'master'; to: 'worker' | 'agent'; data: Leading };
    /** A process has ended that led these clients once, or that is led from there. */
    'shared.gone': { from: 'master'; to: 'worker' | 'agent'; data: { name: string; pid: number } };
  }
}

/** What is published last under a key; `at` orders it among those of all processes: microseconds of the machine's clock. */
export interface Published {
  key: string;
  at: number;
  args: unknown[];
  /** It may have been told before, to another leader. */
  again: boolean;
}

/** What a process wants of a leader that it turns to; what is new of it is subscribed to behind this. */
export interface Wants {
  /** Keys: others are wanted no more. */
  topics: string[];
  /** Names of the real client's events. */
  events: string[];
}

/** What the leader's client has, for those who know it by name alone. */
export interface Offers {
  calls: string[];
  topics: boolean;
  publishes: boolean;
}

/** To a leader; each is answered. */
export type Ask =
  | [kind: 'attach', name: string, wants: Wants]
  | [kind: 'call', name: string, method: string, args: unknown[], callback: boolean]
  | [kind: 'publish', name: string, published: Published]
  | [kind: 'subscribe', name: string, key: string, reg: unknown]
  | [kind: 'unsubscribe', name: string, key: string]
  | [kind: 'watch', name: string, events: string[]]
  /** Its last words have been said once more. */
  | [kind: 'told', name: string]
  | [kind: 'detach', name: string];

/** Null: it does not lead any more, and nothing was done. A list, which costs less on its way than an object. */
export type Answer = readonly [value?: unknown] | null;

/** From a leader. */
export type Tell =
  | [kind: 'value', name: string, key: string, value: unknown]
  | [kind: 'event', name: string, event: string, args: unknown[]];

/** A message to one leader, and what comes of it. */
export interface Attempt extends Asking {
  readonly data: Ask;
  resolve(answer: Answer): void;
}

/** How a process reaches the others, itself among them. */
export interface Post {
  readonly pid: number;
  /** Rejects with what was thrown there, or with what the messenger says. */
  ask(pid: number, message: Ask, timeout: number): Promise<Answer>;
  /** The same without a promise. */
  call(pid: number, attempt: Attempt): void;
  /** False: it reads slowly, and may have lost this. @throws ClusterError, as all that the messenger sends */
  tell(pid: number, message: Tell): boolean;
  /** Resolves when it is not behind with reading. */
  room(pid: number): Promise<void>;
}

/** What a member tells those who hold its client. */
export interface Holder {
  value(key: string, value: unknown): void;
  event(event: string, args: unknown[]): void;
  /** What the leader has, where that was not known before. */
  offered(offers: Offers): void;
  /** Whether somebody listens to a topic; which events are listened to. */
  listens(key: string): boolean;
  readonly watches: string[];
}

import type { Priority } from './priorities.js';

/** What a worker tells of its load, once an interval and when it goes over its limit or comes back. */
export interface Load {
  over: boolean;
  /** How long requests waited for its event loop since the report before, in the mean, ms. */
  wait: number;
  /** What a request takes of it, ms; 0: not known. */
  cost: number;
  /** How long a turn of it is, in each of which one connection is taken from the master, ms. */
  turn: number;
  /** Share of the time that it was busy, 0..1. */
  busy: number;
  /** Milliseconds that an ordinary request may wait there. */
  target: number;
  /** Requests since it began: those that it has taken, and those that it has shed. */
  taken: number;
  shed: Shed;
}

/** Requests that were shed, by their priority. */
export type Shed = Record<Exclude<Priority, 'never'>, number>;

/** What the master notes of a connection for its worker. */
export interface Arrival {
  /** When it has come, ms on the clock of all processes of this machine. */
  at: number;
  /** What was read from it in the master, base64. */
  read?: string;
}

/** What a client is told that is shed. */
export const TEXT = 'Service Unavailable\n';

/** Seconds until it may come again, by chance: those who were refused together are not to come back together. */
export const retryAfter = (least: number): string => String(least + Math.floor(Math.random() * (2 * least + 1)));

/** Milliseconds on a clock that all processes of a machine have in common, and that nobody sets. */
export function commonClock(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

const FIGURES = ['wait', 'cost', 'turn', 'busy', 'target', 'taken'] as const satisfies readonly (keyof Load)[];
export const SHEDDABLE = ['low', 'normal', 'high'] as const satisfies readonly (keyof Shed)[];

const isFigure = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value >= 0;

/** A child may say anything. */
export function isLoad(value: unknown): value is Load {
  if (typeof value !== 'object' || value === null) return false;
  const load = value as Record<keyof Load, unknown>;
  if (typeof load.over !== 'boolean' || !FIGURES.every((name) => isFigure(load[name]))) return false;
  const shed = load.shed as Record<keyof Shed, unknown> | null;
  return typeof shed === 'object' && shed !== null && SHEDDABLE.every((name) => isFigure(shed[name]));
}

declare module '../../lib/index.js' {
  interface InternalMessages {
    'overload.load': { from: 'worker'; to: 'master'; data: Load };
  }
}

import { isErrorData } from '../kit/errors.js';
import type { Address, CloseReason, RequestInFlight, Served, Waiting } from './messages.js';

/** Milliseconds of one turn of the event loop that what one process says may take; the rest of it waits for the next turn. */
export const SLICE = 5;
/** Milliseconds that are looked at together. */
const WINDOW = 5_000;
/** Messages of a window that nobody has asked for: twenty thousand a second, for five seconds. */
const MESSAGES = 100_000;
/** Bytes of a window. */
const BYTES = 1024 * 1024 * 1024;

/**
 * What one process says, on all its channels. Slices keep a flood from delaying others; it is called a flood when it goes on for
 * a window. A dialogue is none, however fast: as many messages go the other way.
 */
export class Intake {
  #since = performance.now();
  #heard = 0;
  #sent = 0;
  #bytes = 0;

  /** A message to that process. */
  sent(): void {
    this.#sent++;
  }

  /** After a slice. Says what is wrong with the window that has ended with it; null: nothing. */
  took(messages: number, bytes: number): string | null {
    this.#heard += messages;
    this.#bytes += bytes;
    const elapsed = performance.now() - this.#since;
    if (elapsed < WINDOW) return null;
    const [heard, asked, size] = [this.#heard, this.#sent, Math.round(this.#bytes / 2 ** 20)];
    const isFlood = (heard - asked) * WINDOW > MESSAGES * elapsed || this.#bytes * WINDOW > BYTES * elapsed;
    this.#since += elapsed;
    this.#heard = this.#sent = this.#bytes = 0;
    return isFlood ? `it floods the master: ${heard} messages, ${size} MiB in ${Math.round(elapsed)} ms` : null;
  }
}

/** Characters of a name, a path, a line. */
const LINE = 1_024;
/** Characters of an error with its stack, or of the output of a start. */
const TEXT = 128 * 1024;
/** What a child waits for, by name. */
const TASKS = 200;
/** Requests that are told one by one. */
const IN_FLIGHT = 20;
/** Addresses of one process. */
export const MOST_ADDRESSES = 1_000;

/** Steps of a start that are told, the oldest first. */
export const TOLD_STEPS = 20;

type Data = Readonly<Record<string, unknown>>;

const isData = (value: unknown): value is Data => typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown, longest: number): boolean => typeof value === 'string' && value.length <= longest;
const isMaybe = (value: unknown, longest: number): boolean => value === undefined || isText(value, longest);
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

const PROTOCOLS: Readonly<Record<Address['protocol'], true>> = { http: true, https: true, http2: true, tcp: true };
const REASONS: Readonly<Record<CloseReason, true>> = {
  stop: true, reload: true, scale: true, recycle: true, signal: true, uncaught: true, unresponsive: true, startTimeout: true, abort: true,
  masterGone: true,
};
const PHASES = { boot: true, run: true } as const;

/** A list may have holes, which `every` passes over (test/unit/hostile-frames.test.ts). */
const isListOf = (value: unknown, most: number, is: (one: unknown) => boolean): boolean =>
  Array.isArray(value) && value.length <= most && Array.from(value).every(is);

const isIn = (table: object, value: unknown): boolean => typeof value === 'string' && Object.hasOwn(table, value);

const isAddress = (value: unknown): value is Address => isData(value) && isIn(PROTOCOLS, value.protocol)
  && isMaybe(value.host, LINE) && isMaybe(value.path, LINE)
  && (value.port === undefined || (isCount(value.port) && (value.port as number) <= 65_535));

const isRequest = (value: unknown): value is RequestInFlight => isData(value) && isText(value.method, LINE)
  && isText(value.path, LINE) && typeof value.age === 'number' && Number.isFinite(value.age);
const isOldest = (value: unknown): boolean => isListOf(value, IN_FLIGHT, isRequest);

const isServed = (value: unknown): value is Served => isAddress(value) && isText((value as Served).name, LINE)
  && typeof (value as Served).configured === 'boolean' && typeof (value as Served).own === 'boolean';

const isWaiting = (value: unknown): value is Waiting => isData(value) && isCount(value.requests) && isCount(value.sockets)
  && isCount(value.streams)
  && (value.inFlight === undefined || isOldest(value.inFlight))
  && isListOf(value.tasks, TASKS, (task) => isText(task, LINE));

/** What a child may say of itself, by type of message; in the master, which believes none of it. */
export const valid = {
  'child.hello': (value: unknown) => isData(value) && isText(value.node, LINE),
  'child.ready': (value: unknown) => isData(value) && isListOf(value.addresses, MOST_ADDRESSES, isServed)
    && isListOf(value.missing, MOST_ADDRESSES, (name) => isText(name, LINE)) && typeof value.instead === 'boolean',
  'child.standby': (value: unknown) => value === null,
  'child.adopted': (value: unknown) => value === null,
  'child.listening': (value: unknown) => isListOf(value, MOST_ADDRESSES, isServed),
  'child.failed': (value: unknown) => isData(value) && isIn(PHASES, value.phase) && isErrorData(value.error)
    && isMaybe(value.error.stack, TEXT) && isText(value.error.message, TEXT) && isText(value.error.name, LINE)
    && isMaybe(value.error.code, LINE) && isMaybe(value.error.detail, TEXT) && isMaybe(value.output, TEXT),
  'child.leaving': (value: unknown) => isData(value) && isIn(REASONS, value.reason),
  'child.mayLeave': (value: unknown) => value === null,
  'child.slotSocket': (value: unknown) => isData(value) && isText(value.key, LINE) && typeof value.accepts === 'boolean',
  'child.slowPath': (value: unknown) => isText(value, LINE),
  'child.steps': (value: unknown) => isListOf(value, TOLD_STEPS, (step) => isData(step)
    && isText(step.name, 4 * LINE) && Number.isFinite(step.since)),
  'child.lastLines': (value: unknown) => value === null,
  'bus.join': (value: unknown) => value === null,
  'bus.listens': (value: unknown) => typeof value === 'boolean',
  'child.waiting': isWaiting,
  'child.onlyStreams': (value: unknown) => value === null,
  'child.cut': (value: unknown) => isData(value) && isCount(value.count) && isOldest(value.oldest),
} as const;

/** Without what else a child may have put there. */
export const plainly = (served: readonly Served[]): Served[] => served.map(({ protocol, host, port, path, name, configured, own }) =>
  ({ protocol, ...(host === undefined ? {} : { host }), ...(path === undefined ? { port } : { path }), name, configured, own }));

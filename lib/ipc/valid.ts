import { isErrorData } from '../kit/errors.js';
import type { Address, CloseReason, RequestInFlight, Served, Waiting } from './messages.js';

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
  'child.listening': (value: unknown) => isListOf(value, MOST_ADDRESSES, isServed),
  'child.failed': (value: unknown) => isData(value) && isIn(PHASES, value.phase) && isErrorData(value.error)
    && isMaybe(value.error.stack, TEXT) && isText(value.error.message, TEXT) && isText(value.error.name, LINE)
    && isMaybe(value.error.code, LINE) && isMaybe(value.error.detail, TEXT) && isMaybe(value.output, TEXT),
  'child.leaving': (value: unknown) => isData(value) && isIn(REASONS, value.reason),
  'child.slotSocket': (value: unknown) => isData(value) && isText(value.key, LINE) && typeof value.accepts === 'boolean',
  'child.slowPath': (value: unknown) => isText(value, LINE),
  'child.step': (value: unknown) => value === null || isText(value, 4 * LINE),
  'child.lastLines': (value: unknown) => value === null,
  'child.waiting': isWaiting,
  'child.onlyStreams': (value: unknown) => value === null,
  'child.cut': (value: unknown) => isData(value) && isCount(value.count) && isOldest(value.oldest),
} as const;

/** Without what else a child may have put there. */
export const plainly = (served: readonly Served[]): Served[] => served.map(({ protocol, host, port, path, name, configured, own }) =>
  ({ protocol, ...(host === undefined ? {} : { host }), ...(path === undefined ? { port } : { path }), name, configured, own }));

import type { BlockingCall, FailedCheck, Sample } from './messages.js';

/** Characters of a name or a line; entries of a list. */
const LINE = 4_096;
const MANY = 1_000;

type Data = Readonly<Record<string, unknown>>;

const isData = (value: unknown): value is Data => typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): boolean => typeof value === 'string' && value.length <= LINE;
const isFigure = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value >= 0;
/** A list may have holes, which `every` passes over. */
const isListOf = (value: unknown, is: (one: unknown) => boolean): boolean =>
  Array.isArray(value) && value.length <= MANY && Array.from(value).every(is);

const FIGURES: readonly (keyof Sample)[] = [
  'at', 'heapUsed', 'heapLimit', 'cpu', 'eventLoopUtilization', 'eventLoopDelay', 'requests', 'connections',
];

/** What children tell of their health, looked at in the master, which believes none of it. */
export const isSample = (value: unknown): value is Sample =>
  isData(value) && FIGURES.every((name) => isFigure(value[name]))
  && (value.rss === null || isFigure(value.rss)) && typeof value.inspected === 'boolean' && isListOf(value.checks, isText);

const isRequest = (value: unknown): boolean =>
  isData(value) && isText(value.method) && isText(value.path) && (value.age === null || isFigure(value.age));

export const isBlockingCall = (value: unknown): value is BlockingCall | null => value === null
  || (isData(value) && isText(value.name) && isListOf(value.stack, isText) && isListOf(value.requests, isRequest));

const isFailedCheck = (value: unknown): boolean => isData(value) && isText(value.name) && isText(value.reason);

export const areFailedChecks = (value: unknown): value is FailedCheck[] => isListOf(value, isFailedCheck);

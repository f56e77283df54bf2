import type { Ask, Tell } from './messages.js';

type Rest = readonly unknown[];
const isText = (value: unknown): boolean => typeof value === 'string';
const isListOf = (is: (value: unknown) => boolean) => (value: unknown): boolean => Array.isArray(value) && value.every(is);
const isData = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const isPublished = (value: unknown): boolean => isData(value) && isText(value.key)
  && Number.isFinite(value.at) && Array.isArray(value.args);
const areNames = isListOf(isText);

/** What follows the name, of each kind. */
const FORMS: Readonly<Record<string, (rest: Rest) => boolean>> = {
  attach: ([wants]) => isData(wants) && areNames(wants.topics) && areNames(wants.events),
  call: ([method, args]) => isText(method) && Array.isArray(args),
  publish: ([published]) => isPublished(published),
  subscribe: ([key]) => isText(key),
  unsubscribe: ([key]) => isText(key),
  watch: ([events]) => areNames(events),
  told: () => true,
  detach: () => true,
  value: ([key]) => isText(key),
  event: ([event, args]) => isText(event) && Array.isArray(args),
};
const TELLS: ReadonlySet<unknown> = new Set<Tell[0]>(['value', 'event']);

const isMessage = (data: unknown): boolean => {
  if (!Array.isArray(data) || !isText(data[1])) return false;
  const [kind, , ...rest] = data as unknown[];
  return isText(kind) && Object.hasOwn(FORMS, kind as string) && (FORMS[kind as string] as (rest: Rest) => boolean)(rest);
};

/** Anybody may send anything under our action: what is neither of these is nothing. */
export const isAsk = (data: unknown): data is Ask => isMessage(data) && !TELLS.has((data as Rest)[0]);
export const isTell = (data: unknown): data is Tell => isMessage(data) && TELLS.has((data as Rest)[0]);

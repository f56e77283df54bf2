import { EventEmitter } from 'node:events';
import { ClusterError, type SharedDefinition, type SharedOptions } from '../../lib/runtime.js';

/** How one method is called. */
export interface Call {
  /** Nobody waits for an answer. */
  oneway?: boolean;
  /** Milliseconds. */
  timeout?: number;
  /** May be done twice: repeated when the leader is lost. */
  idempotent?: boolean;
  /** The method may want a callback behind its arguments. */
  callback?: boolean;
}

/** How cluster-client turns values to bytes, where a class has a way of its own. */
export interface Transcode {
  encode(value: unknown): Uint8Array;
  decode(bytes: Uint8Array): unknown;
}

/** The names of the real client's own methods; undefined: it has none. */
export type Methods = Partial<Record<'subscribe' | 'unsubscribe' | 'publish' | 'close', string>>;

/** All that is known of what is shared, and the allow-list of what others may call. */
export interface Shape {
  name: string;
  calls: Map<string, Call>;
  methods: Methods;
  /** Null: any key is a topic, and keeps its last value. */
  topics: ReadonlyMap<string, 'state' | 'stream'> | null;
  /** Makes the real client; undefined: known by its name alone, what it can do the leader tells. */
  create?: (() => object) | undefined;
  /** What was given to make it, by which two of one name are told apart. */
  source: unknown;
  formatKey(reg: unknown): string;
  /** A value goes to all that are subscribed, or to one of them. */
  broadcast: boolean;
  /** Milliseconds. */
  timeout: number;
  transcode?: Transcode | undefined;
  /** Events are wanted whether somebody listens here or not: a class around it passes them on. */
  allEvents: boolean;
  /** Properties in place of the client's own. */
  overrides: ReadonlyMap<string, unknown>;
}

export type Class = new (...args: never[]) => object;

/** Milliseconds that a call waits for its answer, unless told. */
export const TIMEOUT = 5_000;
/** Characters of a name. */
const LONGEST = 200;

/** Never callable from other processes: what every object has, what the proxy has of its own, and what makes a promise. */
const RESERVED: ReadonlySet<string> = new Set([
  ...Object.getOwnPropertyNames(Object.prototype), ...Object.getOwnPropertyNames(EventEmitter.prototype),
  'then', 'ready', 'readyOrTimeout', 'await', 'awaitFirst', 'close', 'subscribe', 'unsubscribe', 'unSubscribe', 'publish',
]);

export const usage = (text: string): ClusterError => new ClusterError('ERR_CLUSTER_USAGE', `shareClient: ${text}`);

export const isClass = (value: unknown): value is Class =>
  typeof value === 'function' && typeof (value as { prototype?: unknown }).prototype === 'object';

/** As a JSON text, keys of objects in the order of the alphabet; of a text itself. */
export const formatKey = (reg: unknown): string => typeof reg === 'string' ? reg : JSON.stringify(reg, sorted) ?? String(reg);

const sorted = (_: string, value: unknown): unknown => typeof value !== 'object' || value === null || Array.isArray(value)
  ? value : Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1));

/** The methods that a prototype and those above it have, the nearest one of each name; no accessors. */
function methodsOf(prototype: object): Map<string, (...args: unknown[]) => unknown> {
  const found = new Map<string, (...args: unknown[]) => unknown>();
  for (let one: object | null = prototype; one && one !== Object.prototype; one = Object.getPrototypeOf(one) as object | null) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(one))) {
      if (typeof value === 'function' && !found.has(name)) found.set(name, value as (...args: unknown[]) => unknown);
    }
  }
  return found;
}

/** Public methods of a class: neither `_private` ones nor what every object or every client has. */
export const publicMethods = (prototype: object): string[] =>
  [...methodsOf(prototype).keys()].filter((name) => !name.startsWith('_') && !RESERVED.has(name));

/** What of subscribing, publishing and closing a class has, under the usual names. */
export function usualMethods(prototype: object): Methods {
  const has = methodsOf(prototype);
  const first = (...names: string[]) => names.find((name) => has.has(name));
  const unsubscribe = first('unsubscribe', 'unSubscribe');
  return { subscribe: first('subscribe'), unsubscribe, publish: first('publish'), close: first('close') };
}

export function checkedName(name: unknown): string {
  if (typeof name === 'string' && name !== '' && name.length <= LONGEST) return name;
  throw usage(name === '' || name === undefined
    ? 'a class without a name needs one: shareClient(Client, { name: "..." })' : `a name is a text of 1 to ${LONGEST} characters`);
}

export function checkedTimeout(timeout: unknown): number {
  if (timeout === undefined) return TIMEOUT;
  if (typeof timeout === 'number' && timeout > 0 && timeout < 2 ** 31) return timeout;
  throw usage(`a timeout is a number of milliseconds, found ${String(timeout)}`);
}

/** Of a name, a class, or what `defineShared` has checked. @throws ClusterError ERR_CLUSTER_USAGE */
export function shapeOf(what: unknown, options: SharedOptions): Shape {
  const plain = { ...usualShape, timeout: checkedTimeout(options.timeout) };
  if (typeof what === 'string') return { ...plain, name: checkedName(what), calls: new Map(), methods: {}, source: undefined };
  if (isClass(what)) {
    return {
      ...plain,
      name: checkedName(options.name ?? what.name),
      calls: new Map(publicMethods(what.prototype as object).map((name) => [name, {}])),
      methods: usualMethods(what.prototype as object),
      create: () => new what(options as never),
      source: what,
    };
  }
  if (typeof what === 'object' && what !== null && 'calls' in what) return shapeOfDefinition(what as SharedDefinition, options, plain);
  throw usage('expected a class, a name, or what `defineShared` gives');
}

/** What is so unless told otherwise. */
export const usualShape = {
  formatKey, broadcast: true, timeout: TIMEOUT, topics: null, allEvents: false, overrides: new Map<string, unknown>(),
} as const;

type Plain = Pick<Shape, keyof typeof usualShape>;

function shapeOfDefinition(definition: SharedDefinition, options: SharedOptions, plain: Plain): Shape {
  const client = (definition.client ?? options.client) as Class | undefined;
  const { calls: declared } = definition;
  const given = Array.isArray(declared) ? Object.fromEntries(declared.map((name: string) => [name, {}])) : declared;
  const calls = new Map(Object.entries(given as Record<string, Call | true>).map(([name, call]) => [name, call === true ? {} : call]));
  const topics = new Map(Object.entries((definition.topics ?? {}) as Record<string, 'state' | 'stream'>));
  const usual: Methods = { subscribe: 'subscribe', unsubscribe: 'unsubscribe', publish: 'publish' };
  const methods = client ? usualMethods(client.prototype as object) : topics.size > 0 ? usual : {};
  for (const call of calls.keys()) {
    if (call.startsWith('_') || RESERVED.has(call)) {
      throw usage(`"${definition.name}" declares the call "${call}", which is no name of a call`);
    }
  }
  if (client) checkClient(definition.name, client, calls, topics.size > 0);
  return {
    ...plain,
    name: checkedName(definition.name),
    calls,
    methods: topics.size > 0 ? methods : { close: methods.close },
    topics,
    create: client && (() => new client(options as never)),
    source: client,
  };
}

function checkClient(name: string, client: Class, calls: ReadonlyMap<string, Call>, hasTopics: boolean): void {
  const known = publicMethods(client.prototype as object);
  for (const call of calls.keys()) {
    if (!known.includes(call)) {
      throw usage(`"${name}" declares the call "${call}", which ${client.name || 'its class'} does not have`
        + (known.length > 0 ? `; it has ${known.join(', ')}` : ''));
    }
  }
  if (hasTopics && !usualMethods(client.prototype as object).subscribe) {
    throw usage(`"${name}" declares topics, and ${client.name || 'its class'} has no method "subscribe"`);
  }
}

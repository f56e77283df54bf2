import type { Client } from './client.js';
import { checkedName, checkedTimeout, isClass, publicMethods, usage, usualMethods, usualShape } from './shape.js';
import type { Call, Class, Methods, Shape, Transcode } from './shape.js';

/** Classes that were written for the package cluster-client, taken as they are. */

interface ClusterOptions {
  name?: string;
  responseTimeout?: number;
  autoGenerate?: boolean;
  isBroadcast?: boolean;
  formatKey?(reg: unknown): string;
  transcode?: Transcode;
}

type Open = (shape: Shape) => Client;

/** The shape of its APIClientBase: a class that names the one it shares. */
export const isApiClass = (what: unknown): what is Class => isClass(what) && 'DataClient' in (what.prototype as object);

/** An object of that class, which makes its client by what it takes for the package's own function. */
export function apiOf(api: Class, options: object, open: Open): object {
  const cluster = (client: Class, clusterOptions: ClusterOptions = {}) => new Wrapper(client, clusterOptions, open);
  return new api({ ...options, cluster } as never);
}

/** Its names for what is not a call, and ours. */
const KINDS: Readonly<Record<string, keyof Methods>> = {
  subscribe: 'subscribe', unSubscribe: 'unsubscribe', publish: 'publish', close: 'close',
};

/** `cluster(Client).delegate(from, to).override(name, value).create(...)`. */
class Wrapper {
  readonly #client: Class;
  readonly #options: ClusterOptions;
  readonly #open: Open;
  readonly #delegates = new Map<string, string>();
  readonly #overrides = new Map<string, unknown>();

  constructor(client: Class, options: ClusterOptions | null, open: Open) {
    if (!isClass(client)) throw usage('DataClient has to be a class');
    this.#client = client;
    this.#options = options ?? {};
    this.#open = open;
  }

  delegate(from: string, to = 'invoke'): this {
    this.#delegates.set(from, to);
    return this;
  }

  override(name: string, value: unknown): this {
    this.#overrides.set(name, value);
    return this;
  }

  create(...args: unknown[]): Client {
    const { name = this.#client.name, responseTimeout, isBroadcast = true, formatKey, transcode } = this.#options;
    const calls = new Map<string, Call>();
    const methods: Methods = {};
    for (const [from, to] of [...this.#delegates, ...this.#generated()]) {
      if (this.#overrides.has(from)) continue;
      const kind = KINDS[to];
      if (kind) methods[kind] = from;
      else calls.set(from, this.#call(from, to));
    }
    const client = this.#client;
    return this.#open({
      ...usualShape, name: checkedName(name), calls, methods, transcode,
      ...(formatKey ? { formatKey: (reg) => String(formatKey(reg)) } : {}),
      broadcast: isBroadcast,
      timeout: checkedTimeout(responseTimeout),
      create: () => Reflect.construct(client, args) as object,
      source: client,
      allEvents: true,
      overrides: this.#overrides,
    });
  }

  #call(from: string, to: string): Call {
    if (typeof (this.#client.prototype as Record<string, unknown>)[from] !== 'function') {
      throw usage(`${this.#client.name} has no method "${from}", which is delegated to "${to}"`);
    }
    return { callback: true, oneway: to === 'invokeOneway' };
  }

  /** What need not be delegated by name: the usual four, and methods that are async functions or generators. */
  *#generated(): Iterable<[string, string]> {
    if (this.#options.autoGenerate === false) return;
    const prototype = this.#client.prototype as Record<string, unknown>;
    const usual = usualMethods(prototype);
    for (const [to, kind] of Object.entries(KINDS)) {
      const from = usual[kind];
      if (from !== undefined && !this.#delegates.has(from) && ![...this.#delegates.values()].includes(to)) yield [from, to];
    }
    for (const name of publicMethods(prototype)) {
      const { constructor } = prototype[name] as () => unknown;
      if (!this.#delegates.has(name) && /^(?:Async|Generator)Function$/.test(constructor.name)) yield [name, 'invoke'];
    }
  }
}

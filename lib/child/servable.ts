import type { RequestListener } from 'node:http';
import { createRequire } from 'node:module';
import { Server } from 'node:net';
import { listen } from '../kit/sockets.js';
import type { FetchApp } from './fetch-bridge.js';

export interface Place {
  port: number;
  host?: string;
  path?: string;
}

/** One kind of thing that an app may export, and how it is served: on a server that it brings, or by a request listener on ours. */
export type Kind<T = never> = { is(value: object): boolean } & (
  | { server(app: T): Server; listen(app: T, place: Place): unknown; listener?: undefined }
  | { listener(app: T): RequestListener | Promise<RequestListener>; server?: undefined }
);

type Method = (...args: never[]) => unknown;
const has = (value: object, ...methods: string[]): boolean =>
  methods.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');

/** All addresses, for those whose own default is the loopback one. Taken out again before the system sees it: not every host has IPv6. */
export const EVERYWHERE = '::';

interface Fastify { server: Server; ready(): PromiseLike<unknown>; listen(place: object): Promise<unknown> }
interface Nest { getHttpServer(): Server; getHttpAdapter(): { getType?(): string }; listen(...args: unknown[]): Promise<unknown> }

const server: Kind<Server> = {
  is: (value) => value instanceof Server,
  server: (app) => app,
  listen: (app, { port, host, path }) => listen(app, path === undefined ? { port, host } : { path }),
};

const fastify: Kind<Fastify> = {
  is: (value) => has(value, 'ready', 'listen', 'inject') && (value as Fastify).server instanceof Server,
  server: (app) => app.server,
  listen: (app, { port, host = EVERYWHERE, path }) => app.listen(path === undefined ? { port, host } : { path }),
};

const nest: Kind<Nest> = {
  is: (value) => has(value, 'getHttpAdapter', 'getHttpServer', 'listen'),
  server: (app) => app.getHttpServer(),
  listen: (app, { port, host, path }) => {
    if (path !== undefined) return app.listen(path);
    const where = host ?? (app.getHttpAdapter().getType?.() === 'fastify' ? EVERYWHERE : undefined);
    return where === undefined ? app.listen(port) : app.listen(port, where);
  },
};

const koa: Kind<{ callback(): RequestListener }> = {
  is: (value) => has(value, 'callback'),
  listener: (app) => app.callback(),
};

const web: Kind<FetchApp> = {
  is: (value) => has(value, 'fetch'),
  listener: async (app) => (await import('./fetch-bridge.js')).listenerOf(app),
};

const listener: Kind<RequestListener> = {
  // Express's app is a listener that can do more.
  is: (value) => typeof value === 'function' && (value.length >= 2 || has(value, 'handle')),
  listener: (app) => app,
};

/** The first that fits wins. */
const kinds: readonly Kind[] = [server, fastify, nest, koa, web, listener];

export const kindOf = (value: unknown): Kind | undefined =>
  typeof value === 'object' && value !== null || typeof value === 'function' ? kinds.find((kind) => kind.is(value as object)) : undefined;

/** It is taken for a listener by its number of parameters alone. */
export const mayBeNone = (value: unknown): boolean => kindOf(value) === listener && !has(value as object, 'handle');

/** A function of the context that gives what is to be served. A class is none: it can't be called. */
export const isFactory = (value: unknown): value is Method =>
  typeof value === 'function' && !kindOf(value) && !isClass(value) && !isFastifyPlugin(value) && !isH3(value);

const isClass = (value: unknown): boolean => typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));

/** What fastify-plugin marks a plugin with. */
const MARKS = [Symbol.for('skip-override'), Symbol.for('fastify.display-name')];
/** A plugin by what its author calls its parameters: `async (fastify, opts)`, as fastify-cli has it, `(app, options, done)`. */
const PLUGIN = /^(?:async\b\s*)?(?:function\b[^(]*)?\(?\s*(?:fastify\d*\b|\w+\s*,\s*_?(?:opts|options)\b)/;

export const isFastifyPlugin = (value: unknown): boolean => typeof value === 'function'
  && (MARKS.some((mark) => mark in value) || PLUGIN.test(Function.prototype.toString.call(value)));

/** An app, or a handler of events, of h3's first version; those of the second one have `fetch`. */
const isH3 = (value: unknown): boolean => {
  const handler: unknown = typeof value === 'object' && value !== null && has(value, 'use', 'handler')
    ? (value as { handler: unknown }).handler : value;
  return typeof handler === 'function' && '__is_handler__' in handler;
};

interface FastifyModule { (options: object): Fastify & { register(plugin: unknown): unknown }; default?: FastifyModule }
interface H3Module { createApp(): { use(handler: unknown): object }; toNodeListener(app: unknown): RequestListener }

/**
 * An export that only the library it was written for can run, as that library makes it of it: a Fastify plugin becomes an app
 * that has it, h3's app a listener. What is none, or whose library the app does not have, comes back as it is.
 */
export function adapted(value: unknown, file: string, certificate: () => object | undefined): unknown {
  if (isFastifyPlugin(value)) {
    const module = installed<FastifyModule>('fastify', file);
    const https = certificate();
    const app = module && (module.default ?? module)(https ? { https } : {});
    app?.register(value);
    return app ?? value;
  }
  if (!isH3(value)) return value;
  const h3 = installed<H3Module>('h3', file);
  return h3?.toNodeListener(typeof value === 'function' ? h3.createApp().use(value) : value) ?? value;
}

function installed<Module>(name: string, file: string): Module | undefined {
  try {
    return createRequire(file)(name) as Module;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

/** An ES module's default export, or what a CommonJS module exports; compilers to CommonJS put the default export inside. */
export function defaultOf(module: unknown): unknown {
  const exported = isNamespace(module) ? ofNamespace(module as Namespace) : module;
  return typeof exported === 'object' && exported !== null && '__esModule' in exported ? ofNamespace(exported as Namespace) : exported;
}

interface Namespace {
  default?: unknown;
}

function ofNamespace(module: Namespace): unknown {
  named = module.default === undefined ? Object.keys(module).filter((name) => !['default', '__esModule'].includes(name)) : [];
  return module.default;
}

/** What the app's module exports by name, where it has no default export: somebody may have meant one of these. */
export const onlyNamed = (): readonly string[] => named;
let named: string[] = [];

const isNamespace = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.prototype.toString.call(value) === '[object Module]';

/** An empty export says nothing; another object may be meant for somebody else, a test for instance. */
export const mayListenLater = (value: unknown): boolean =>
  value === undefined || (typeof value === 'object' && value !== null && !Array.isArray(value));

export const isEmpty = (value: unknown): boolean =>
  value === undefined || (mayListenLater(value) && Object.keys(value as object).length === 0);

/** What was found, for a person. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (isClass(value)) return `the class ${(value as Method).name || '(without a name)'}`;
  if (typeof value === 'function') return `a function with ${value.length === 1 ? 'one parameter' : 'no parameter'}`;
  if (typeof value === 'object') {
    const keys = Object.keys(value);
    const shown = keys.slice(0, 8).join(', ') + (keys.length > 8 ? ', ...' : '');
    return keys.length === 0 ? 'an empty object' : `an object with the keys ${shown}`;
  }
  const text = String(value);
  return `the ${typeof value} ${typeof value === 'string' ? JSON.stringify(text.slice(0, 60)) : text}`;
}

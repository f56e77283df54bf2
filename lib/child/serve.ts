import { readFileSync } from 'node:fs';
import http, { type RequestListener } from 'node:http';
import type { Server } from 'node:net';
import path from 'node:path';
import { Duplex } from 'node:stream';
import type { Context, FrameworkServing, ListenOptions, Runtime } from '../api/runtime.js';
import type { BootInfo } from '../ipc/messages.js';
import { ClusterError } from '../kit/errors.js';
import { listen, makeDirs } from '../kit/sockets.js';
import type { Readiness } from './readiness.js';
import {
  EVERYWHERE, adapted, describe, isEmpty, isFactory, kindOf, mayBeNone, mayListenLater, onlyNamed, type Kind,
} from './servable.js';
import { listenStateOf, type ListenState } from './server-tracker.js';

const nextTurn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

/**
 * Serves what the app gave (a framework is served by framework.ts), and resolves when that listens, or when there is
 * nothing to do. An app that listens by itself is left alone; else its export is served where the cluster was told to, also
 * beside a server of another kind (metrics); with neither, the app may still be on its way to a listen. Whether this worker is
 * ready then, Readiness decides.
 * Rejects with ERR_CLUSTER_NOT_SERVABLE, or with the app's own error.
 */
export async function serve(exported: unknown, boot: BootInfo, context: Context, runtime: Runtime): Promise<void> {
  const state = listenStateOf(runtime);
  // A listen that is only a few settled promises away counts as the app's own.
  await nextTurn();
  if (state.begunAsConfigured) return;
  // An app that was told no address and listens somewhere has its own; a function that it exports is for somebody else.
  const found = state.begun && !boot.listen.named ? exported : await resolved(exported, context);
  if (state.begunAsConfigured) return;
  if (mayBeNone(found) && state.begun && !state.serves(found) && await ownListen(state)) return;
  const app = adapted(found, fileOf(boot), () => certificate(boot.listen.https));
  const kind = kindOf(app);
  const isLeft = kind && (app === found ? isLeftAlone(found, kind, boot, state) : state.begun && !boot.listen.named);
  if (kind && !isLeft) return open(kind, app, boot, runtime);
  if (!state.begun && !mayListenLater(app)) throw notServable(app, boot, state);
}

/** A request to nobody's server, over no connection: what answers the first real one is compiled then. */
export function answerAhead(): void {
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  http.createServer((_, response) => response.end()).emit('connection', socket);
  socket.push('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
}

const fileOf = ({ entry }: BootInfo): string => 'file' in entry ? entry.file : path.resolve('app');

/** Milliseconds that an app which serves something else already may take to listen where the cluster is to be found. */
const OWN = 1_000;

/**
 * Whether the app listens by itself where its export would be served: a function of two parameters may be anything
 * (`add(a, b)`), and where the app listens elsewhere already, it may be on its way there.
 */
async function ownListen(state: ListenState): Promise<boolean> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, OWN);
    state.onChange(() => {
      if (!state.begunAsConfigured) return;
      clearTimeout(timer);
      resolve();
    });
  });
  return state.begunAsConfigured;
}

/** What there is to be awaited in an export: itself, and what it gives when it is a function of the context. */
export async function resolved(exported: unknown, context: Context): Promise<unknown> {
  const found = await settle(exported);
  return isFactory(found) ? settle(await found(context as never)) : found;
}

/** Waits for a promise; but an app that only looks like one (Fastify's has a `then`) is taken as it is. */
const settle = (value: unknown): unknown => kindOf(value) ? value : Promise.resolve(value);

/** Whether the app serves by itself what it exports, as far as one can tell. */
function isLeftAlone(found: unknown, kind: Kind, { listen: { named } }: BootInfo, state: ListenState): boolean {
  if (!state.begun) return false;
  if (kind.server) return state.has(kind.server(found as never));
  // What Koa and web-standard apps are served by does not show them; where a port was named it is theirs.
  return typeof found === 'function' ? state.serves(found) : !named;
}

async function open(kind: Kind, app: unknown, boot: BootInfo, runtime: Runtime): Promise<void> {
  const { port, host, path: socket, https } = boot.listen;
  makeRoom(socket);
  if (kind.server) {
    const server = kind.server(app as never);
    if (https?.key && !isSecure(server)) {
      throw new ClusterError('ERR_CLUSTER_NOT_SERVABLE', '`https` is configured, but the app brings a server of its own '
        + 'that speaks plain HTTP: give it the certificate, or export a request listener');
    }
    const state = listenStateOf(runtime);
    // Fastify's listen() waits for its plugins first; where the app has called it already, it comes before ours.
    await (app as { ready?(): PromiseLike<unknown> }).ready?.();
    await nextTurn();
    if (state.begunAsConfigured || state.has(server)) return;
    giveWay(server, boot.listen, runtime);
    await kind.listen(app as never, { port, host, path: socket });
    return;
  }
  const server = await createServer(https, await kind.listener(app as never));
  giveWay(server, boot.listen, runtime);
  await listen(server, socket === undefined ? { port, host } : { path: socket });
}

/**
 * Resolves when this worker is ready, and rejects once nothing is left in the process that could lead there: that is where a
 * plain Node process would end. What never ends is for the master's `startTimeout`.
 */
export function untilServing(exported: unknown, boot: BootInfo, runtime: Runtime, readiness: Readiness): Promise<void> {
  const state = listenStateOf(runtime);
  if (!state.begun && !isEmpty(exported)) {
    runtime.logger.debug(`${describe(exported)} is exported, which cannot be served; waiting for the app to listen`);
  }
  const hold = (keep: boolean): void => {
    runtime.channel.hold(keep);
    if (keep) process.channel?.ref();
    else process.channel?.unref();
  };
  const look = () => { if (!readiness.done) hold(state.begun); };
  let idle = () => {};
  return new Promise<void>((resolve, reject) => {
    idle = () => { if (!state.begun) reject(notServable(exported, boot, state)); };
    process.on('beforeExit', idle);
    state.onChange(look);
    look();
    void readiness.reached.then(() => resolve());
  }).finally(() => {
    process.off('beforeExit', idle);
    hold(true);
  });
}

function notServable(found: unknown, boot: BootInfo, { refused }: ListenState): ClusterError {
  const file = 'file' in boot.entry ? boot.entry.file : 'the app';
  if (refused !== undefined) return new ClusterError('ERR_CLUSTER_NOT_SERVABLE', `${file} listens nowhere: ${refused}`);
  const names = found === undefined ? onlyNamed() : [];
  const what = names.length === 0 ? describe(found) : `nothing by default, only ${names.slice(0, 8).join(', ')}`;
  return new ClusterError('ERR_CLUSTER_NOT_SERVABLE', `${file} listens nowhere and exports ${what}; it has to call listen(), `
    + 'or to export a request listener, a server, a Koa, Express, Fastify or Nest app, an object with fetch(), '
    + 'or a function that returns one of these; an app without a server says `server: false` in its configuration');
}

/** The server for apps that bring none: https where a certificate is configured. */
export async function createServer(https: FrameworkServing['https'], listener: RequestListener): Promise<http.Server> {
  if (!https?.key) return http.createServer(listener);
  const tls = await import('node:https');
  const { key, cert, ca, ...options } = https;
  try {
    return tls.createServer({ ...options, ...certificate({ key, cert, ...(ca === undefined ? {} : { ca }) }) }, listener);
  } catch (cause) {
    const files = [key, cert, ...ca === undefined ? [] : [ca]].join(', ');
    throw new ClusterError('ERR_CLUSTER_CONFIG', `https cannot be served with ${files}: ${(cause as Error).message}`);
  }
}

const certificate = (https: BootInfo['listen']['https']): { key: Buffer; cert: Buffer; ca?: Buffer } | undefined => https?.key ? {
  key: readFileSync(https.key),
  cert: readFileSync(https.cert),
  ...(https.ca === undefined ? {} : { ca: readFileSync(https.ca) }),
} : undefined;

/** The folder of a unix socket is ours to make; the system calls its absence EACCES. */
export function makeRoom(socket: string | undefined): void {
  if (socket !== undefined && process.platform !== 'win32') makeDirs(path.dirname(socket));
}

/** Whether a server speaks TLS. */
export const isSecure = (server: Server): boolean => 'setSecureContext' in server;

/**
 * An app may export what can be served and yet listen by itself later, once its database is connected: our server then
 * gives the place up, and a second `listen` of the server that was exported finds it listening already.
 */
export function giveWay(server: Server, { port, host, path: socket }: BootInfo['listen'], runtime: Runtime): void {
  const isOurs = (options: ListenOptions): boolean =>
    socket === undefined ? options.path === undefined && Number(options.port) === port : options.path === socket;

  runtime.hooks.listen.tap('serve', (other, options) => {
    if (other === server) {
      if (host === undefined && options.host === EVERYWHERE) delete options.host;
    } else if (server.listening && isOurs(options)) {
      server.close();
    }
  });

  const { listen: begin } = server;
  server.listen = function listenAgain(this: Server, ...args: unknown[]) {
    if (!server.listening) return begin.apply(this, args as Parameters<typeof begin>);
    const callback = args.at(-1);
    if (typeof callback === 'function') process.nextTick(() => { callback.call(server); });
    return server;
  } as typeof begin;
}

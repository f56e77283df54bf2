import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import type { RequestHook, RequestTap, Runtime, ServedRequest, ServedResponse } from '../api/runtime.js';
import { inTime } from '../kit/time.js';
import { cutAnswer } from '../node/http-connections.js';

/** What a tap may take that says nothing else, ms; an authentication that hangs holds its request no longer. */
const LIMIT = 30_000;

interface Tap<Args extends unknown[]> extends Required<RequestTap> {
  fn: (...args: Args) => unknown;
}

/** Taps in their order, each of which may say that it has handled what came: then nobody after it, nor the app, sees it. */
export class BailChildHook<Args extends unknown[]> implements RequestHook<Args> {
  /** Another list with each tap: what is on its way goes on by the one that it came to. */
  taps: readonly Tap<Args>[] = [];
  /** Those of them that streams go through, and those that they do not. */
  ofStreams: readonly Tap<Args>[] = [];
  ofRequests: readonly Tap<Args>[] = [];
  /** Servers whose events go through them, and those of which that is not needed yet. */
  readonly gated = new WeakSet<Server>();
  readonly spared = new WeakSet<Server>();
  /**
   * What has been through has this mark: an app may emit it again, after `checkContinue` for instance, or at another server of its.
   * A mark costs a quarter of what a WeakSet does, and its collection less.
   */
  readonly passed = Symbol('passed');
  readonly #tapped: () => void;

  /** `tapped`: there is one more. */
  constructor(tapped: () => void = () => {}) {
    this.#tapped = tapped;
  }

  tap(tap: string | RequestTap, fn: (...args: Args) => unknown): void {
    const { name, stage = 0, limit = LIMIT, streams = true } = typeof tap === 'string' ? { name: tap } : tap;
    const isLater = (one: Tap<Args>): boolean => one.stage > stage;
    this.taps = [...this.taps.filter((one) => !isLater(one)), { name, stage, limit, streams, fn }, ...this.taps.filter(isLater)];
    this.ofStreams = this.taps.filter((one) => one.streams);
    this.ofRequests = this.taps.filter((one) => !one.streams);
    this.#tapped();
  }

  tapPromise(tap: string | RequestTap, fn: (...args: Args) => Promise<unknown>): void {
    this.tap(tap, fn);
  }

  /** True, at once where no tap is asynchronous: it is handled. Throws, or rejects with, a {@link TapFailure}. */
  call(taps: readonly Tap<Args>[], args: Args, first = 0): boolean | Promise<boolean> {
    for (let at = first; at < taps.length; at++) {
      const tap = taps[at] as Tap<Args>;
      let result: unknown;
      try {
        result = tap.fn(...args);
      } catch (cause) {
        throw new TapFailure(tap.name, cause);
      }
      if (isPromise(result)) return this.#later(result, taps, args, at);
      if (result === true) return true;
    }
    return false;
  }

  async #later(result: Promise<unknown>, taps: readonly Tap<Args>[], args: Args, at: number): Promise<boolean> {
    const { name, limit } = taps[at] as Tap<Args>;
    let handled: unknown;
    try {
      const late = () => new Error(`it did not finish within ${limit} ms`);
      handled = await (limit === Infinity ? result : inTime(limit, () => result, late));
    } catch (cause) {
      throw new TapFailure(name, cause);
    }
    return handled === true || this.call(taps, args, at + 1);
  }
}

class TapFailure extends Error {
  constructor(plugin: string, cause: unknown) {
    super(`plugin "${plugin}" failed at a request`, { cause });
  }
}

const isPromise = (value: unknown): value is Promise<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';

type Emit = (...args: [string | symbol, ...unknown[]]) => boolean;
type Requests = BailChildHook<[ServedRequest, ServedResponse, Server]>;
type Upgrades = BailChildHook<[ServedRequest, Duplex, Buffer, Server]>;

/** What a gate needs of the runtime, or of what stands for one. */
export interface Gated {
  hooks: Pick<Runtime['hooks'], 'request' | 'upgrade'>;
  logger: Pick<Runtime['logger'], 'error'>;
}

const ANSWERED: ReadonlySet<unknown> = new Set(['request', 'checkContinue', 'checkExpectation', 'connect']);
/** With a listener Node asks before it says "100 Continue" by itself: a body that nobody wants need not be sent. */
const ASKS = Symbol.for('hatchery.asks');
/**
 * Does what Node does without a listener, unless the app has one of its own; so it does where the app's own `emit` passes ours by.
 * Another copy of this may ask as well (`hatchery/drain` in a worker): one of them answers.
 */
const ask = Object.assign(function (this: Server, request: ServedRequest, response: ServedResponse): void {
  const listeners = this.listeners('checkContinue');
  if (listeners.some((one) => !(ASKS in one)) || listeners[0] !== ask) return;
  response.writeContinue();
  this.emit('request', request, response);
}, { [ASKS]: true });

const hooksOf = ({ hooks }: Gated) => hooks as unknown as { request: Requests; upgrade: Upgrades };
/** Without a listener of them there are none, whatever clients ask for. */
const TURNS = ['upgrade', 'connect'];

/**
 * Has requests and upgrades of a server go through the taps before its listeners. A server without them is left alone: to be called
 * again once there are some. So is one whose upgrades alone are tapped, until somebody listens to them: its requests are no slower than
 * those of a server that nobody looks at.
 */
export function gateRequests(server: Server, gated: Gated): void {
  const { request: requests, upgrade: upgrades } = hooksOf(gated);
  if (!('closeIdleConnections' in server || 'updateSettings' in server) || requests.taps.length + upgrades.taps.length === 0) return;
  if (requests.taps.length > 0 && !server.listeners('checkContinue').includes(ask)) server.on('checkContinue', ask);
  if (requests.gated.has(server)) return;
  if (requests.taps.length > 0 || TURNS.some((event) => server.listenerCount(event) > 0)) return gate(server, gated);
  if (requests.spared.has(server)) return;
  requests.spared.add(server);
  server.on('newListener', function spared(event: string | symbol) {
    if (!TURNS.includes(event as string)) return;
    server.off('newListener', spared);
    gate(server, gated);
  });
}

function gate(server: Server, gated: Gated): void {
  const { logger } = gated;
  const { request: requests, upgrade: upgrades } = hooksOf(gated);
  if (requests.gated.has(server)) return;
  requests.gated.add(server);
  const emit = server.emit.bind(server) as Emit;
  const { passed } = requests;
  const pass = (one: object): void => { (one as Record<symbol, boolean>)[passed] = true; };
  const hasPassed = (one: object): boolean => (one as Record<symbol, boolean>)[passed] === true;
  /** Those that are left for it: a request may have been a stream before, to an app that listens to both. */
  const tapsFor = (request: ServedRequest): Requests['taps'] =>
    'stream' in request && hasPassed(request.stream) ? requests.ofRequests : requests.taps;

  const failed = (error: unknown, end: () => void): void => {
    logger.error((error as Error).message, { error: (error as Error).cause });
    end();
  };
  /** What comes for a listener goes through the taps; `on`: nobody has handled it. What the app throws then is no fault of theirs. */
  const through = (handled: () => boolean | Promise<boolean>, on: () => void, end: () => void): void => {
    let result: boolean | Promise<boolean>;
    try {
      result = handled();
    } catch (error) {
      return failed(error, end);
    }
    if (typeof result === 'object') result.then((is) => { if (!is) queueMicrotask(on); }, (error: unknown) => failed(error, end));
    else if (!result) on();
  };
  const onRequest = (event: string | symbol, request: ServedRequest, response: ServedResponse): void => {
    pass(request);
    through(() => requests.call(tapsFor(request), [request, response, server]), () => {
      // It was answered without a word of it, or its client has gone meanwhile.
      if (response.writableEnded || response.destroyed) return;
      if (!emit(event, request, response) && event === 'connect') {
        response.statusCode = 405;
        response.end();
      }
    }, () => refuse(response));
  };
  /** An app that speaks HTTP/2 itself (gRPC's do) listens to streams, of which no requests are made, nor for taps that want none. */
  const onStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...rest: unknown[]): void => {
    pass(stream);
    const { request, response, detach } = requestOf(stream, headers, rest.at(-1) as string[]);
    through(() => requests.call(requests.ofStreams, [request, response, server]), () => {
      if (response.writableEnded || stream.destroyed) return;
      const trailers = detach();
      emit('stream', stream, headers, ...rest);
      if (trailers) stream.emit('trailers', ...trailers);
    }, () => refuse(response));
  };
  const servesStreams = (): boolean => requests.ofStreams.length > 0
    && server.listenerCount('stream') > (server.listenerCount('request') > 0 ? 1 : 0);
  const onUpgrade = (event: string | symbol, request: ServedRequest, socket: Duplex, head: Buffer): void => {
    pass(request);
    // Nobody listens yet: an error would end the worker.
    socket.on('error', ignore);
    const done = (): void => { socket.off('error', ignore); };
    through(() => upgrades.call(upgrades.taps, [request, socket, head, server]), () => {
      done();
      if (!socket.destroyed && !emit(event, request, socket, head)) socket.destroy();
    }, () => {
      if (!socket.destroyed) socket.end('HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    });
  };

  server.emit = (...args: [string | symbol, ...unknown[]]): boolean => {
    const event = args[0];
    // Nearly all that comes to a server of WebSockets.
    if (requests.taps.length === 0 && event !== 'upgrade' && event !== 'connect') return emit(...args);
    const [, request, second, head] = args;
    if (event === 'stream' && !hasPassed(request as object) && servesStreams()) {
      onStream(request as ServerHttp2Stream, second as IncomingHttpHeaders, head, ...args.slice(4));
      return true;
    }
    // HTTP/2's CONNECT comes with a response, as a request does.
    const isTurned = event === 'upgrade' || (event === 'connect' && args.length > 3);
    const { taps } = isTurned ? upgrades : requests;
    if (taps.length === 0 || !(isTurned || ANSWERED.has(event)) || hasPassed(request as object)) return emit(...args);
    if (isTurned) onUpgrade(event, request as ServedRequest, second as Duplex, head as Buffer);
    else onRequest(event, request as ServedRequest, second as ServedResponse);
    return true;
  };
}

/** What answers a stream, and the place of its headers. */
const ANSWERS = { respond: 0, respondWithFD: 1, respondWithFile: 1 } as const;

/** Those that taps have set, beside the app's own, in whatever case that writes them. */
function withGiven(given: OutgoingHttpHeaders, own: unknown): unknown {
  if (Array.isArray(own)) return own;
  const written = new Set(Object.keys(own ?? {}).map((name) => name.toLowerCase()));
  return { ...Object.fromEntries(Object.entries(given).filter(([name]) => !written.has(name))), ...own as object };
}

/**
 * What taps get of a stream. Once it goes on to an app that knows streams alone, `detach` leaves of it what tells a tap the end,
 * gives the answer the headers that taps have set, and returns the client's trailers where they came meanwhile.
 */
function requestOf(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]) {
  const { Http2ServerRequest, Http2ServerResponse } = process.getBuiltinModule('node:http2');
  const before = new Map(stream.eventNames().map((event) => [event, new Set(stream.rawListeners(event))]));
  const request = new Http2ServerRequest(stream, headers, {}, rawHeaders);
  const response = new Http2ServerResponse(stream);
  let trailers: unknown[] | undefined;
  stream.once('trailers', (...came: unknown[]) => { trailers = came; });
  const detach = (): unknown[] | undefined => {
    for (const event of stream.eventNames()) {
      if (event === 'close' || event === 'aborted') continue;
      for (const listener of stream.rawListeners(event)) {
        if (!before.get(event)?.has(listener)) stream.off(event, listener as () => void);
      }
    }
    // It is the app that answers now, and not by this.
    const isAnswered = (): boolean => stream.writableEnded && !stream.rstCode;
    for (const name of ['writableEnded', 'writableFinished']) Object.defineProperty(response, name, { get: isAnswered });
    stream.prependListener('close', () => {
      const status = stream.sentHeaders?.[':status'];
      if (status !== undefined) response.statusCode = Number(status);
    });
    const given = response.getHeaders();
    if (Object.keys(given).length > 0) {
      for (const [name, at] of Object.entries(ANSWERS)) {
        const answer = Reflect.get(stream, name) as (...args: unknown[]) => void;
        Reflect.set(stream, name, (...args: unknown[]) => {
          args[at] = withGiven(given, args[at]);
          Reflect.apply(answer, stream, args);
        });
      }
    }
    return trailers;
  };
  return { request, response, detach };
}

function refuse(response: ServedResponse): void {
  // It was answered before something else failed.
  if (response.writableEnded) return;
  if (response.headersSent) cutAnswer(response);
  else {
    response.statusCode = 500;
    response.end('Internal Server Error');
  }
}

function ignore(): void {}

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { cutAnswer, headOf, streamBytes, transferred } from '../../lib/runtime.js';
import { closePoll, sessionOfPoll } from './engine-poll.js';
import type { Stillness } from './stillness.js';

/** Where health-check, if it is on, notes `performance.now()` of a request's start. */
const STARTED = Symbol.for('hatchery.started');
const EVENT_STREAM = /\btext\/event-stream\b/i;
const EVENT_STREAM_HEAD = /^content-type: *text\/event-stream/im;
/** A stream on which nothing has moved for so long (ms) is a request like any other. */
const STALLED = 60_000;
/** What a Date header leaves open, ms. */
const SECOND = 1_000;

/** A request under way, with what decides how long it may take. */
export interface Exchange {
  readonly method: string;
  /** With its query. */
  readonly url: string;
  /** Milliseconds since it came, as far as that is known. */
  readonly age: number;
  /** Its answer has begun, or its body is still coming in. */
  readonly flows: boolean;
  /** A GET that asks for an event stream, and gets one: its client comes back by itself (EventSource does). */
  readonly subscribes: boolean;
  /** A poll that waits for something to say: its session (see engine-poll.ts). */
  readonly poll: string | null;
  /** Milliseconds without a byte either way. */
  readonly still: number;
  /** The same object at each look. */
  readonly key: object;
  /** Of HTTP/1: what it has to itself. */
  readonly socket: Socket | null;
  /** Ends it so that its client sees that it has not got all; a poll in its own words. */
  cut(): void;
}

/** `subscription`: may be moved by now; `stream`: may take longer than others. */
export type Kind = 'request' | 'stream' | 'subscription';

export function kindOf({ subscribes, poll, flows, age, still }: Exchange, subscriptionAge: number): Kind {
  if (poll !== null && subscriptionAge < Infinity) return 'subscription';
  if (subscribes && age >= subscriptionAge) return 'subscription';
  return flows && still < STALLED ? 'stream' : 'request';
}

/** When a request was first seen, `performance.now()`. */
const seen = new WeakMap<object, number>();

/**
 * As health-check has noted it; else the answer's own Date header tells when an answer has begun, to the second, as requests are
 * not looked at while a server serves. A date that cannot be is a proxied one.
 */
function ageOf(request: IncomingMessage, head: string | null, now: number): number {
  if (!seen.has(request)) seen.set(request, now);
  const since = (request as { [STARTED]?: number })[STARTED];
  if (since !== undefined) return now - since;
  const least = now - (seen.get(request) ?? now);
  const date = Date.parse(/^date: (.+)$/im.exec(head ?? '')?.[1] ?? '');
  const age = Number.isNaN(date) ? 0 : Date.now() - date - SECOND;
  return age > least && age < process.uptime() * 1_000 ? age : least;
}

export function exchangeOf(response: ServerResponse, stillness: Stillness, now: number): Exchange {
  const { req: request } = response;
  const { method = '', url = '', headers: { accept = '' } } = request;
  const head = headOf(response);
  const poll = sessionOfPoll(request, head !== null);
  return {
    method,
    url,
    key: request,
    socket: request.socket,
    age: ageOf(request, head, now),
    flows: head !== null || !request.complete,
    subscribes: method === 'GET' && EVENT_STREAM.test(accept) && EVENT_STREAM_HEAD.test(head ?? ''),
    still: stillness.of(request, transferred(request.socket), 'answering', now).still,
    poll,
    cut: () => (poll === null ? cutAnswer(response) : closePoll(request, response)),
  };
}

/** What the head of an HTTP/2 stream has told; `since`: performance.now() of its coming. */
export interface Head {
  headers: IncomingHttpHeaders;
  since: number;
}

export function http2ExchangeOf(stream: ServerHttp2Stream, { headers, since }: Head, stillness: Stillness, now: number): Exchange {
  const { ':method': method, ':path': path, accept = '' } = headers;
  const { endAfterHeaders } = stream as { endAfterHeaders?: boolean };
  return {
    method: String(method),
    url: String(path),
    key: stream,
    socket: null,
    age: now - since,
    flows: stream.headersSent || (endAfterHeaders !== true && !stream.readableEnded),
    subscribes: method === 'GET' && EVENT_STREAM.test(accept) && EVENT_STREAM.test(String(stream.sentHeaders?.['content-type'])),
    still: stillness.of(stream, streamBytes(stream), 'answering', now).still,
    poll: null,
    cut: () => cutAnswer(stream),
  };
}

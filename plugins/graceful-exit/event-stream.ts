import type { ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { headOf } from '../../lib/runtime.js';

const CONTENT_TYPE = /^content-type: *text\/event-stream/im;

/** Server-sent events: an answer that does not end by itself, and whose client comes back by itself. */
export function isEventStream(response: ServerResponse): boolean {
  return CONTENT_TYPE.test(headOf(response) ?? '');
}

export function isHttp2EventStream(stream: ServerHttp2Stream): boolean {
  return String(stream.sentHeaders?.['content-type'] ?? '').startsWith('text/event-stream');
}

/** Ends an answer whose writer does not know: what it writes from now on is dropped, and is no error. */
export function endQuietly(stream: ServerResponse | ServerHttp2Stream): void {
  if (stream.writableEnded) return;
  stream.end();
  const drop = (...args: unknown[]): boolean => {
    const done = args.find((arg) => typeof arg === 'function') as (() => void) | undefined;
    if (done) process.nextTick(done);
    return true;
  };
  stream.write = drop;
  stream.end = ((...args: unknown[]) => {
    drop(...args);
    return stream;
  }) as typeof stream.end;
}

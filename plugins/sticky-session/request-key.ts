import type { IncomingMessage } from 'node:http';
import type { Key } from './options.js';

/** What a request says of whom it is from; undefined: nothing. */
export type FindKey = (request: IncomingMessage) => string | undefined;

export function keyFinder(key: Exclude<Key, 'socket.io'>): FindKey {
  if ('cookie' in key) return (request) => cookieOf(request, key.cookie);
  if ('header' in key) {
    return (request) => {
      const value = request.headers[key.header];
      return (Array.isArray(value) ? value[0] : value) || undefined;
    };
  }
  return (request) => queryOf(request, key.query);
}

export function cookieOf(request: IncomingMessage, name: string): string | undefined {
  const header = request.headers.cookie;
  if (!header?.includes(name)) return undefined;
  for (const part of header.split(';')) {
    const equals = part.indexOf('=');
    if (equals > 0 && part.slice(0, equals).trim() === name) return part.slice(equals + 1).trim().replace(/^"(.*)"$/, '$1') || undefined;
  }
  return undefined;
}

export function queryOf(request: IncomingMessage, name: string): string | undefined {
  const url = request.url ?? '';
  const mark = url.indexOf('?');
  return mark < 0 ? undefined : new URLSearchParams(url.slice(mark + 1)).get(name) || undefined;
}
